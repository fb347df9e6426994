/**
 * A tree of rules, so that a packet meets few of them: each inner node looks at one character of the key (four bits of
 * an address or port, or the protocol), a leaf holds a few rules, and steps that all keys share are left out. What it
 * looks like depends on nothing but the keys that are in it. Trees are values: a change makes another tree that has all
 * it can in common with the one before, which is how {@link changedNodes} finds out quickly what is new.
 */

/** A rule and where it is found. */
export interface Entry {
  readonly key: string;
  /** Without `-A CHAIN`. */
  readonly rule: string;
}

interface Leaf {
  /** In the order of their keys. */
  readonly entries: readonly Entry[];
}

interface Inner {
  /** What all keys begin with. */
  readonly prefix: string;
  readonly size: number;
  /** By the next character, in its order. */
  readonly children: readonly (readonly [step: string, child: Tree])[];
}

/** Made by {@link buildTree}, {@link put} and {@link drop}. All keys are of the same length. */
export type Tree = Leaf | Inner;

/** A node that has a chain of its own. */
export interface TreeNode {
  /** What the keys below it begin with; empty for the root. No two nodes of a tree have the same. */
  readonly slot: string;
  readonly tree: Tree;
}

/** One of these is met by a packet that is not for any; half of them by one that is. */
const LEAF_SIZE = 16;

/** No rules. */
export const EMPTY_TREE: Tree = { entries: [] };

/** A tree of these entries. Their keys are distinct. */
export function buildTree(entries: Iterable<Entry>): Tree {
  return build([...entries].toSorted(byKey));
}

/** The tree with one more entry, or another rule for a key. */
export function put(tree: Tree, entry: Entry): Tree {
  if (!('prefix' in tree)) {
    const others = tree.entries.filter(({ key }) => key !== entry.key);
    return build([...others, entry].toSorted(byKey));
  }
  const { prefix, children } = tree;
  if (!entry.key.startsWith(prefix)) {
    const shared = sharedPrefix(prefix, entry.key);
    const parts = [
      [prefix.charAt(shared.length), tree],
      [entry.key.charAt(shared.length), { entries: [entry] }],
    ] as const;
    return inner(shared, parts.toSorted(byStep));
  }
  const step = entry.key.charAt(prefix.length);
  const child = put(childAt(tree, step) ?? EMPTY_TREE, entry);
  const others = children.filter(([other]) => other !== step);
  return inner(prefix, [...others, [step, child] as const].toSorted(byStep));
}

/** The tree without the entry of this key. */
export function drop(tree: Tree, key: string): Tree {
  if (!('prefix' in tree)) {
    const entries = tree.entries.filter((entry) => entry.key !== key);
    return entries.length === tree.entries.length ? tree : { entries };
  }
  const { prefix } = tree;
  const step = key.charAt(prefix.length);
  const before = key.startsWith(prefix) ? childAt(tree, step) : undefined;
  if (before === undefined) return tree;
  const after = drop(before, key);
  if (after === before) return tree;
  const children = tree.children.flatMap(([other, child]) =>
    other !== step ? [[other, child] as const] : sizeOf(after) > 0 ? [[step, after] as const] : [],
  );
  const changed = inner(prefix, children);
  if (changed.size <= LEAF_SIZE) return { entries: [...entriesOf(changed)] };
  const [only] = children;
  return children.length === 1 && only !== undefined ? only[1] : changed;
}

/** All entries, in the order of their keys. */
export function* entriesOf(tree: Tree): Iterable<Entry> {
  if (!('prefix' in tree)) yield* tree.entries;
  else for (const [, child] of tree.children) yield* entriesOf(child);
}

/** Every node that has a chain, each after those below it; the root is the last one. */
export function* nodesOf(tree: Tree, slot = ''): Iterable<TreeNode> {
  for (const [below, child] of chainsBelow(tree)) yield* nodesOf(child, below);
  yield { slot, tree };
}

/** What is in the chain of a node: rules, and slots of nodes that have a chain of their own. */
export function* rulesOf(tree: Tree): Iterable<Entry | string> {
  if (!('prefix' in tree)) {
    yield* tree.entries;
    return;
  }
  for (const [step, child] of tree.children) {
    if (hasChain(child)) yield tree.prefix + step;
    else yield* entriesOf(child);
  }
}

/** Nodes of `after` that `before` does not have or has otherwise, each after those below it. */
export function* changedNodes(before: Tree, after: Tree): Iterable<TreeNode> {
  yield* nodesUnlike(before, { slot: '', tree: after });
}

/** Slots of nodes that only `before` has. */
export function* goneSlots(before: Tree, after: Tree, slot = ''): Iterable<string> {
  const now = nodeAt(after, slot);
  if (now === before) return;
  for (const [below, child] of chainsBelow(before)) yield* goneSlots(child, after, below);
  if (now === undefined) yield slot;
}

function* nodesUnlike(before: Tree, { slot, tree }: TreeNode): Iterable<TreeNode> {
  if (nodeAt(before, slot) === tree) return;
  for (const [below, child] of chainsBelow(tree)) {
    yield* nodesUnlike(before, { slot: below, tree: child });
  }
  yield { slot, tree };
}

/** The node with a chain that stands for a slot. */
function nodeAt(tree: Tree, slot: string): Tree | undefined {
  if (slot === '') return tree;
  let node = tree;
  while ('prefix' in node && slot.length > node.prefix.length && slot.startsWith(node.prefix)) {
    const { prefix } = node;
    const child = childAt(node, slot.charAt(prefix.length));
    if (child === undefined) return undefined;
    if (slot.length === prefix.length + 1) return hasChain(child) ? child : undefined;
    node = child;
  }
  return undefined;
}

function build(sorted: readonly Entry[]): Tree {
  const [first] = sorted;
  const last = sorted.at(-1);
  if (sorted.length <= LEAF_SIZE || first === undefined || last === undefined) {
    return { entries: sorted };
  }
  const prefix = sharedPrefix(first.key, last.key);
  const groups = Map.groupBy(sorted, ({ key }) => key.charAt(prefix.length));
  return inner(
    prefix,
    [...groups].map(([step, entries]) => [step, build(entries)] as const),
  );
}

function inner(prefix: string, children: Inner['children']): Inner {
  return { prefix, children, size: children.reduce((sum, [, child]) => sum + sizeOf(child), 0) };
}

function* chainsBelow(tree: Tree): Iterable<readonly [slot: string, child: Tree]> {
  if (!('prefix' in tree)) return;
  for (const [step, child] of tree.children) {
    if (hasChain(child)) yield [tree.prefix + step, child];
  }
}

/** A single rule needs none: it stands in the chain above. */
function hasChain(tree: Tree): boolean {
  return sizeOf(tree) > 1;
}

function sizeOf(tree: Tree): number {
  return 'prefix' in tree ? tree.size : tree.entries.length;
}

function childAt({ children }: Inner, step: string): Tree | undefined {
  return children.find(([other]) => other === step)?.[1];
}

function sharedPrefix(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return one.slice(0, length);
}

function byKey(one: Entry, other: Entry): number {
  return compare(one.key, other.key);
}

function byStep(
  [one]: readonly [step: string, ...unknown[]],
  [other]: readonly [string, ...unknown[]],
) {
  return compare(one, other);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
