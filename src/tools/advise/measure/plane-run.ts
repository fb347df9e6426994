/** Loads one mode's plane and changes what it holds, in the process and network namespace that this runs in. */
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { type PlaneName, type PlaneOffer, planeName } from '../../../agent/mode.ts';
import type { ProxyItem } from '../../../core/change.ts';
import { type Cidr, parseAddress } from '../../../core/ip.ts';
import type { DataPlane } from '../../../planes/plane.ts';
import { ToolError } from '../../errors.ts';
import { MeasuredAgent, type MeasuredNode } from './agent.ts';
import type { Effort } from './results.ts';
import { changeableSlices, withoutEndpoint } from './workload.ts';

/** What a process is to do with one plane. */
export interface PlaneJob {
  readonly name: PlaneName;
  readonly items: readonly ProxyItem[];
  /** Of the node that it plays. */
  readonly address: string;
  /** Addresses whose traffic is not masqueraded. */
  readonly local: Cidr;
  /** Make changes after the load. Everything stays. */
  readonly changes: Effort | undefined;
}

/** What came of it. Times are in milliseconds. */
export type PlaneRun =
  | {
      readonly usable: true;
      readonly loadMs: number;
      readonly operations: number;
      readonly changeMs: readonly number[];
    }
  | { readonly usable: false; readonly reasons: readonly string[] };

/** Changes of both kinds in a row; in between, a plane does what only time brings. */
const ROUND = 25;
const WARM_UP_ROUNDS = 4;
/** Where changes are slow, warming up is over after this part of the time. */
const WARM_UP_SHARE = 0.25;
/** Spreads changes over all Services, for neighbours would share caches. */
const STRIDE = 7919;

/** Does the job. Rejects with what the plane fails with. */
export async function runPlane(
  { name, items, address, local, changes }: PlaneJob,
  offers: readonly PlaneOffer[],
): Promise<PlaneRun> {
  const offer = offers.find((candidate) => planeName(candidate) === name);
  if (offer === undefined) {
    throw new ToolError('SY_MEASURE_FAILED', `There is no plane ${name} to measure.`);
  }
  const plane = offer.open();
  const missing = plane.probe().filter(({ ok }) => !ok);
  if (missing.length > 0) {
    plane.close();
    return { usable: false, reasons: missing.map((one) => `${one.name}: ${one.detail}`) };
  }
  const agent = new MeasuredAgent(plane, nodeAt(address, local));
  const objects = items.map((item) => ({ type: 'set', item }) as const);
  const started = performance.now();
  const { operations } = await agent.load(objects);
  const loadMs = performance.now() - started;
  const changeMs = changes === undefined ? [] : await change(agent, plane, items, changes);
  await agent.close();
  plane.close();
  return { usable: true, loadMs, operations, changeMs };
}

function nodeAt(text: string, local: Cidr): MeasuredNode {
  const address = parseAddress(text);
  const own = address === undefined ? [] : [address];
  return {
    // No endpoint says that it is here.
    view: { name: '', zone: undefined, primaryAddresses: own, nodePortAddresses: own },
    settings: {
      families: existsSync('/proc/net/if_inet6') ? ['IPv4', 'IPv6'] : ['IPv4'],
      masqueradeAll: false,
      serviceCidrs: [],
      countedPorts: 0,
      localTraffic: { IPv4: { kind: 'cidr', cidr: local } },
    },
  };
}

async function change(
  agent: MeasuredAgent,
  plane: DataPlane,
  items: readonly ProxyItem[],
  { minChanges, maxChanges, changeMs }: Effort,
): Promise<readonly number[]> {
  const slices = changeableSlices(items);
  const samples: number[] = [];
  const round = Math.min(ROUND, slices.length);
  if (round === 0) return samples;
  const started = performance.now();
  let next = 0;
  let isWarm = false;
  for (let rounds = 0; ; rounds++) {
    const chosen = Array.from({ length: round }, () => slices[(next++ * STRIDE) % slices.length]);
    for (const withOne of [false, true]) {
      for (const slice of new Set(chosen)) {
        if (slice === undefined) continue;
        const object = withOne ? slice : withoutEndpoint(slice);
        const changed = await agent.change([
          { type: 'set', item: { kind: 'EndpointSlice', object } },
        ]);
        if (changed !== undefined && isWarm) samples.push(changed.latencyMs);
      }
      // As the agent does each second: an idle endpoint of ipvs is deleted, so that it is really added again.
      await plane.tend();
    }
    const spentMs = performance.now() - started;
    isWarm ||= rounds + 1 >= WARM_UP_ROUNDS || spentMs > changeMs * WARM_UP_SHARE;
    const isLong = spentMs > changeMs;
    if (samples.length >= maxChanges || (isLong && samples.length >= minChanges)) return samples;
    // Slices whose changes make no difference, because another Service has their addresses.
    if (isLong && rounds > WARM_UP_ROUNDS && samples.length === 0) return samples;
    await setTimeout(0);
  }
}
