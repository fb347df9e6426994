/** Putting back what a take-over removed, while our agent serves: at the end, what leads to it. */
import { type KernelError, isKernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { IpsetBatch, IpsetSocket } from '../../kernel/ipset/socket.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { IpvsBatch, IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { LinkBatch, LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { LINK } from '../../planes/ipvs/schema.ts';
import { findLeftovers } from '../cleanup/find.ts';
import { KUBE_PROXY_TABLE } from '../cleanup/kube-proxy-names.ts';
import type { Leftover } from '../cleanup/leftovers.ts';
import { type CleanupMachine, readTables } from '../cleanup/machine.ts';
import { findTables, readServers } from '../cleanup/read.ts';
import { ToolError } from '../errors.ts';
import { loadTables } from './nft-text.ts';
import { type SavedRules, linesThatRestore } from './saved-rules.ts';
import { type UndoBundle, objectKey } from './undo-bundle.ts';

/** What is to be put back. */
export interface Restoration {
  readonly bundle: UndoBundle;
  readonly objects: readonly Leftover[];
  /** There already, whoever made them: they stay as they are. */
  readonly present: readonly Leftover[];
  /** Virtual servers that an interrupted call may have left without some of their real servers. */
  readonly partial: ReadonlySet<string>;
}

/** The table whose rules send packets to what the others let pass; it is written last. */
const LAST_TABLE = 'nat';

/** Compares a bundle with what is there; changes nothing. Rejects as `findLeftovers` does. */
export async function planRestoration(
  bundle: UndoBundle,
  machine: CleanupMachine,
): Promise<Restoration> {
  const { objects } = await findLeftovers('kube-proxy', machine);
  // What our ipvs mode uses by now is nobody's leftover.
  const servers = await readServers(machine.io);
  using links = LinkSocket.open(machine.io);
  const present = new Set(
    [
      ...objects,
      ...servers.map((name) => serverObject(describeVirtual(name))),
      ...(links.link(LINK) === undefined
        ? []
        : [{ kind: 'link', place: 'network interfaces', name: LINK } as const]),
    ].map(objectKey),
  );
  const isSaved = ({ mode }: Leftover): boolean =>
    mode !== 'nftables' || bundle.unsaved.length === 0;
  const isPresent = (object: Leftover): boolean => present.has(objectKey(object));
  const servedByKubeProxy = objects.filter(({ kind }) => kind === 'virtual server');
  return {
    bundle,
    objects: bundle.objects.filter((object) => isSaved(object) && !isPresent(object)),
    present: bundle.objects.filter(isPresent),
    partial: new Set(bundle.phase === 'restoring' ? servedByKubeProxy.map(({ name }) => name) : []),
  };
}

/**
 * Puts it back: sets, virtual servers, addresses, rules of iptables (each table at once, with what leads to its chains),
 * tables of nf_tables (all at once). When it fails or is interrupted, plan again, and call this again.
 *
 * Rejects with a KernelError, a RestoreError when somebody changed rules meanwhile, and a ToolError `SY_UNDO_BUNDLE`
 * when a program is missing that is needed, or nft fails.
 */
export async function putBack(restoration: Restoration, machine: CleanupMachine): Promise<void> {
  const { bundle } = restoration;
  await putBackSets(bundle, machine.io);
  await putBackServers(restoration, machine.io);
  await putBackAddresses(bundle, machine.io);
  for (const rules of bundle.rules) await putBackRules(rules, machine);
  if (bundle.tables.length === 0) return;
  const there = new Set(findTables(machine.io, KUBE_PROXY_TABLE).map(({ family }) => family));
  const missing = bundle.tables.filter(({ family }) => !there.has(family));
  if (missing.length > 0) await loadTables(missing.map(({ text }) => text).join(''));
}

/** A set that rules match on is in use, and stays as it is. */
async function putBackSets({ sets }: UndoBundle, io: KernelIo): Promise<void> {
  if (sets.length === 0) return;
  using ipset = IpsetSocket.open(io);
  const used = new Set(
    ipset.sets().flatMap(({ name, references }) => (references > 0 ? name : [])),
  );
  const batch = new IpsetBatch();
  for (const { definition, elements } of sets) {
    if (used.has(definition.name)) continue;
    ipset.create(definition);
    for (const element of elements) batch.add(definition, element);
  }
  throwFirst(await ipset.commit(batch));
}

async function putBackServers(
  { bundle, present, partial }: Restoration,
  io: KernelIo,
): Promise<void> {
  if (bundle.servers.length === 0) return;
  using ipvs = IpvsSocket.open(io);
  const kept = new Set(present.map(objectKey));
  const batch = new IpvsBatch();
  for (const { name, scheduling, realServers } of bundle.servers) {
    const text = describeVirtual(name);
    const isThere = kept.has(objectKey(serverObject(text)));
    if (isThere && !partial.has(text)) continue;
    if (!isThere) batch.addVirtual(name, scheduling);
    for (const real of realServers) batch.addReal(name, real);
  }
  throwFirst(await ipvs.commit(batch));
}

async function putBackAddresses({ link, addresses }: UndoBundle, io: KernelIo): Promise<void> {
  if (!link && addresses.length === 0) return;
  using links = LinkSocket.open(io);
  // Down, as kube-proxy has it: its addresses are local ones all the same.
  if (links.link(LINK) === undefined) links.addDummy(LINK);
  const found = links.link(LINK);
  if (found === undefined) return;
  const batch = new LinkBatch();
  for (const address of addresses) batch.addAddress(found, address);
  throwFirst(await links.commit(batch));
}

async function putBackRules(
  { variant, family, tables }: SavedRules,
  { iptables }: CleanupMachine,
): Promise<void> {
  const tool = iptables.find(({ tools }) => tools.variant === variant);
  if (tool === undefined) {
    throw new ToolError(
      'SY_UNDO_BUNDLE',
      `The rules of iptables-${variant} cannot be put back: that program is not there. Install it and call this again.`,
    );
  }
  const now = await readTables(family, tool);
  const ordered = tables.toSorted(
    (one, other) => Number(one.table === LAST_TABLE) - Number(other.table === LAST_TABLE),
  );
  const batches = ordered.map((saved) => ({
    table: saved.table,
    lines: linesThatRestore(saved, now.get(saved.table) ?? new Map()),
  }));
  await tool.restore(
    family,
    batches.filter(({ lines }) => lines.length > 0),
  );
}

function serverObject(name: string): Pick<Leftover, 'kind' | 'place' | 'name'> {
  return { kind: 'virtual server', place: 'IPVS', name };
}

/** What is there already is no failure. */
function throwFirst(refusals: readonly { readonly error: KernelError }[]): void {
  const failed = refusals.find(({ error }) => !isKernelError(error, 'SY_KERNEL_EXISTS'));
  if (failed !== undefined) throw failed.error;
}
