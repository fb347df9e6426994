/** What `switch --undo` is to undo, and whether that would still serve. */
import type { PlaneName } from '../../agent/mode.ts';
import type { SwitchState } from '../../agent/switching/pages.ts';
import { hostPort, parseAddress } from '../../core/ip.ts';
import { ToolError } from '../errors.ts';
import { readList } from '../status/client.ts';
import type { UndoBundle } from './undo-bundle.ts';

/** Endpoints that a message names. */
const LONGEST_LIST = 5;
/** In rules of iptables, and in those of nft with one endpoint. */
const TARGET = /--to-destination (\S+)|\bdnat (?:ip6? )?to (\S+:\d+)/g;
/** In rules of nft that choose among endpoints: `numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : … }`. */
const CHOICE = /\bdnat ip6? to numgen [^{]*\{([^}]*)\}/g;
const CHOSEN = /: (\S+) \. (\d+)/g;

/**
 * True when the mode was changed after this take-over: that is undone first. Not when it had to be changed, see
 * {@link refuseSharedServers}.
 */
export function isModeNewer(
  bundle: UndoBundle,
  state: Pick<SwitchState, 'plane' | 'last'>,
): boolean {
  const { phase, plane, planeBefore } = bundle;
  if (state.last === undefined || state.plane === plane) return false;
  if (phase === 'restoring' && state.plane === planeBefore) return false;
  return !sharesServers(bundle, plane);
}

/** The plane to change to before this take-over is undone; `null`: that in charge stays so. */
export function planeToReturnTo(bundle: UndoBundle): PlaneName | null {
  const { planeBefore } = bundle;
  return planeBefore === null || sharesServers(bundle, planeBefore) ? null : planeBefore;
}

/**
 * Throws a ToolError `SY_SWITCH_REFUSED` when our own plane has the virtual servers that are to be put back: they would
 * go with it.
 */
export function refuseSharedServers(bundle: UndoBundle, plane: PlaneName): void {
  if (!sharesServers(bundle, planeToReturnTo(bundle) ?? plane)) return;
  throw new ToolError(
    'SY_SWITCH_REFUSED',
    'The virtual servers of kube-proxy cannot be put back while the agent serves in ipvs mode: they have the addresses ' +
      'of its own. Change its mode first (switchyard switch --to nftables), then call this again.',
  );
}

/** Those that our ipvs mode has taken over from kube-proxy are not in the bundle: they are ours. */
function sharesServers({ objects }: UndoBundle, plane: PlaneName): boolean {
  return plane === 'ipvs' && objects.some(({ mode }) => mode === 'ipvs');
}

/** Endpoints that a bundle leads new connections to, as `address:port`. */
export function targetsOf({ rules, tables, servers }: UndoBundle): ReadonlySet<string> {
  const chains = rules.flatMap((each) => each.tables).flatMap((table) => table.chains);
  const texts = [...chains.flatMap((chain) => chain.rules), ...tables.map(({ text }) => text)];
  const reals = servers.flatMap(({ realServers }) =>
    realServers.filter(({ weight }) => weight > 0),
  );
  return new Set([
    ...texts.flatMap(targetsIn),
    ...reals.map(({ address, port }) => hostPort(address, port)),
  ]);
}

function targetsIn(text: string): readonly string[] {
  const targets = [...text.matchAll(TARGET)].flatMap(([, iptables, nft]) => iptables ?? nft ?? []);
  for (const [, choices = ''] of text.matchAll(CHOICE)) {
    for (const [, ip = '', port] of choices.matchAll(CHOSEN)) {
      const address = parseAddress(ip);
      if (address !== undefined) targets.push(hostPort(address, Number(port)));
    }
  }
  return targets;
}

/**
 * Compares the endpoints of a bundle with those that the agent has: connections to one that is gone would fail.
 * Rejects with a ToolError: `SY_UNDO_STALE`, or as `readList` does.
 */
export async function refuseWhenStale(bundle: UndoBundle, socket: string): Promise<void> {
  const { items } = await readList(socket, 'endpoints');
  const present = new Set(
    items.flatMap(({ address, ports }) => ports.map(({ port }) => hostPort(address, port))),
  );
  const targets = targetsOf(bundle);
  const gone = [...targets.difference(present)];
  if (gone.length === 0) return;
  const more = gone.length > LONGEST_LIST ? ', …' : '';
  throw new ToolError(
    'SY_UNDO_STALE',
    `${gone.length} of the ${targets.size} endpoints in what kube-proxy left at ${bundle.savedAt} are gone ` +
      `(${gone.slice(0, LONGEST_LIST).join(', ')}${more}): connections to them would fail. Start kube-proxy instead: it ` +
      'writes rules of now beside those of switchyard. When it is ready, stop the agent, and call: switchyard cleanup',
  );
}
