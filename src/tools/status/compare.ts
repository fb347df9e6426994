/** Where what the kernel holds differs from what is wanted. */
import type { ProgrammedFrontend } from '../../planes/plane.ts';
import { coverSame } from './ranges.ts';

/** One difference. */
export interface Difference {
  /** `namespace/name:port` of the Service port; empty when the kernel does not tell. */
  readonly service: string;
  /** `address:port`. */
  readonly frontend: string;
  readonly protocol: string;
  /** Says of the frontend what is wrong, without its name: `is not in the kernel`. */
  readonly difference: string;
}

type Picks = ProgrammedFrontend['target'];

/**
 * Compares what a data plane of `mode` should hold with what it holds. In no particular order; empty when all is well.
 * In ipvs and iptables mode weights are not compared.
 */
export function compareFrontends(
  mode: string,
  expected: Iterable<ProgrammedFrontend>,
  programmed: Iterable<ProgrammedFrontend>,
): readonly Difference[] {
  const found = new Map([...programmed].map((each) => [nameOf(each), each]));
  const differences: Difference[] = [];
  const note = ({ label, frontend, protocol }: ProgrammedFrontend, text: string): void => {
    differences.push({ service: label, frontend, protocol, difference: text });
  };
  for (const wanted of expected) {
    const name = nameOf(wanted);
    const held = found.get(name);
    found.delete(name);
    // What is left of a frontend whose entry is gone has no label.
    if (held === undefined || held.label === '') note(wanted, 'is not in the kernel');
    else for (const text of compareOne(mode, wanted, held)) note(wanted, text);
  }
  for (const held of found.values()) note(held, 'is in the kernel, but not wanted');
  return differences;
}

function nameOf({ frontend, protocol }: ProgrammedFrontend): string {
  return `${frontend}/${protocol}`;
}

function* compareOne(
  mode: string,
  wanted: ProgrammedFrontend,
  held: ProgrammedFrontend,
): Generator<string> {
  if (!isLabelOf(held.label, wanted.label)) yield `is served for ${held.label}`;
  yield* comparePicks(mode, wanted.target, held.target, '');
  // ipvs mode needs no target of its own for this where the other one is the same.
  const inside =
    held.insideTarget === undefined && mode !== 'nftables' ? held.target : held.insideTarget;
  if (wanted.insideTarget !== undefined && inside !== undefined) {
    yield* comparePicks(mode, wanted.insideTarget, inside, ' for clients on this node');
  } else if (wanted.insideTarget !== undefined) {
    yield 'lacks the endpoints for clients on this node';
  } else if (held.insideTarget !== undefined) {
    yield 'has endpoints for clients on this node, which is not wanted';
  }
  // Nobody is remembered where nobody is served.
  const isServed = [wanted, held].every(({ target }) => isList(target) && target.length > 0);
  if (isServed && wanted.affinitySeconds !== held.affinitySeconds) {
    yield `has session affinity of ${seconds(held)}, wanted: ${seconds(wanted)}`;
  }
  // Without endpoints nothing is sent on that could be masqueraded.
  if (isServed && wanted.masquerade !== held.masquerade) {
    yield held.masquerade ? 'is masqueraded, which is not wanted' : 'is not masqueraded';
  }
  if (!isSameSources(wanted.allowedSources, held.allowedSources)) {
    yield `may be used by ${sources(held)}, wanted: ${sources(wanted)}`;
  }
}

function* comparePicks(mode: string, wanted: Picks, held: Picks, whom: string): Generator<string> {
  if (!isList(wanted) || !isList(held)) {
    if (wanted !== held) yield `is ${outcome(held)}${whom}, wanted: ${outcome(wanted)}`;
    return;
  }
  const places = new Set(wanted).size;
  if (places > 1 && held.every((endpoint) => endpoint === EMPTY_SLOT)) {
    yield `lacks all ${places} endpoints${whom}`;
    return;
  }
  const counts = new Map<string, number>();
  const count = (endpoints: Iterable<string>, by: number): void => {
    for (const each of endpoints) counts.set(each, (counts.get(each) ?? 0) + by);
  };
  const isCounted = mode === 'nftables';
  count(isCounted ? wanted : new Set(wanted), 1);
  count(isCounted ? held : new Set(held), -1);
  const heldSet = new Set(held);
  const wantedSet = new Set(wanted);
  for (const [endpoint, difference] of counts) {
    // A slot that is empty shows in the endpoint that should be in it.
    if (difference === 0 || endpoint === EMPTY_SLOT) continue;
    const isBoth = heldSet.has(endpoint) && wantedSet.has(endpoint);
    if (isBoth) yield `gives endpoint ${endpoint} another share${whom} than is wanted`;
    else if (difference > 0) yield `lacks endpoint ${endpoint}${whom}`;
    else yield `has endpoint ${endpoint}${whom}, which is not wanted`;
  }
}

const EMPTY_SLOT = 'none';

function isList(picks: Picks): picks is readonly string[] {
  return typeof picks !== 'string';
}

/** Planes cut labels that are too long for a comment. */
function isLabelOf(held: string, wanted: string): boolean {
  return held === wanted || (held.length > 100 && wanted.startsWith(held.replace(/\.{3}$/, '')));
}

function outcome(picks: Picks): string {
  if (picks === 'reject') return 'refused';
  if (picks === 'drop') return 'dropped';
  const { size } = new Set(picks);
  return `served by ${size === 1 ? '1 endpoint' : `${size} endpoints`}`;
}

function seconds({ affinitySeconds }: ProgrammedFrontend): string {
  return affinitySeconds === undefined ? 'none' : `${affinitySeconds} s`;
}

function sources({ allowedSources }: ProgrammedFrontend): string {
  return allowedSources === undefined ? 'everybody' : allowedSources.join(', ');
}

function isSameSources(
  wanted: ProgrammedFrontend['allowedSources'],
  held: ProgrammedFrontend['allowedSources'],
): boolean {
  if (wanted === undefined || held === undefined) return wanted === held;
  return coverSame(wanted, held);
}
