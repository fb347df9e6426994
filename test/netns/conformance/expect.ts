/** Trying expectations with real packets. */
import assert from 'node:assert/strict';
import type { Greeting, L4, ProbeResult } from '../../lab/agent/calls.ts';
import type { Lab } from '../../lab/lab.ts';
import { hostAddresses, type HostName } from '../../lab/topology.ts';
import type { Expectation } from './case.ts';

/** How long to wait for an answer that must come: never reached unless the case fails. */
export const patienceMs = 5000;
/** How long an answer may take that must come at once: less than a second SYN takes. */
const atOnceMs = 900;
/** How long to wait for an answer that must not come. */
const silenceMs = 250;

/** Chance of a false alarm that one assertion on random choices may have. */
const falseAlarm = 1e-9;

/** Probes after which `servers` equally likely servers have all answered, but for one chance in 10^9. */
function probesToHitAll(servers: number): number {
  if (servers < 2) return 3;
  // P(one of n is missed in k probes) <= n * (1 - 1/n)^k
  return Math.ceil(Math.log(falseAlarm / servers) / Math.log(1 - 1 / servers));
}

/** Asserts that `hits` of `probes` is what a share gives, within seven standard deviations (about 1 in 10^11). */
export function assertShare(hits: number, probes: number, share: number, what: string): void {
  const deviation = Math.sqrt(probes * share * (1 - share));
  assert.ok(
    Math.abs(hits - probes * share) <= 7 * deviation,
    `${what}: ${hits} of ${probes} probes, expected about ${Math.round(probes * share)}`,
  );
}

/** What came back, in one short text, and how often. */
export function tally(results: readonly ProbeResult[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const text = result.ok ? answerOf(result) : result.error;
    counts[text] = (counts[text] ?? 0) + 1;
  }
  return counts;
}

/** Tries one row; rejects with a message that names it and tells what happened. */
export async function expectRow(lab: Lab, row: Expectation): Promise<void> {
  const hosts = typeof row.from === 'string' ? [row.from] : row.from;
  const protocols: readonly L4[] = row.over === undefined ? ['TCP', 'UDP'] : [row.over];
  await Promise.all(
    hosts.flatMap((host) => protocols.map((protocol) => expectOne(lab, host, protocol, row))),
  );
}

async function expectOne(lab: Lab, from: HostName, over: L4, row: Expectation): Promise<void> {
  const [address, port] = row.to;
  const what = `${over} from ${from} to ${address} port ${port}`;
  const subject = {
    address,
    port,
    ...(row.source === undefined ? {} : { sourceAddress: row.source }),
    ...(row.sourcePort === undefined ? {} : { sourcePort: row.sourcePort }),
  };
  if ('fails' in row) {
    const timeoutMs = row.fails === 'timeout' ? silenceMs : atOnceMs;
    const results = await lab.host(from).probe(over, { ...subject, timeoutMs });
    assert.deepEqual(Object.keys(tally(results)), [row.fails], `${what} must fail`);
    return;
  }
  // A flow with a fixed source port goes to one place only.
  const count = row.sourcePort === undefined ? probesToHitAll(row.reaches.length) : 1;
  const results = await lab
    .host(from)
    .probe(over, { ...subject, timeoutMs: patienceMs, count, parallel: 8 });
  const expected = row.reaches.toSorted();
  assert.deepEqual(Object.keys(tally(results)).toSorted(), expected, `${what} must reach`);
  if (row.seenAs === undefined) return;
  const allowed: readonly string[] =
    row.seenAs === 'node'
      ? hostAddresses.node
      : row.source === undefined
        ? hostAddresses[from]
        : [row.source];
  for (const result of results) {
    const seen = result.ok ? result.peer : '';
    assert.ok(allowed.includes(seen), `${what} must be seen as ${row.seenAs}, not as ${seen}`);
  }
}

function answerOf({ server, localPort }: Greeting): string {
  return localPort === 8080 ? server : `${server}:${localPort}`;
}
