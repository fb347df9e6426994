/**
 * The process that holds the plane under test, inside the lab's node: objects and flags in, kernel programmed. It
 * decides as the agent does, but answers each call only when the kernel has it, so that no case has to wait and see.
 *
 *     node plane-host.ts PLANE
 */
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../../src/agent/clock.ts';
import { describeNode, type NodeDescription } from '../../../src/agent/node.ts';
import { Planner } from '../../../src/agent/planner.ts';
import { decodeEndpointSlice } from '../../../src/core/decode/endpoint-slice.ts';
import { decodeNode } from '../../../src/core/decode/node.ts';
import { decodeService } from '../../../src/core/decode/service.ts';
import { staleUdpFlows } from '../../../src/core/flows.ts';
import { parseAddress, parseCidr } from '../../../src/core/ip.ts';
import type { Route, RouteChange } from '../../../src/core/route.ts';
import { RouteTable } from '../../../src/core/route-table.ts';
import { configOf } from '../../lab/agent-config.ts';
import { Conntrack } from '../../../src/kernel/conntrack/conntrack.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import type { ProxyItem } from '../../../src/core/change.ts';
import type { WriteReport } from '../../../src/planes/plane.ts';
import { serveCalls } from '../../lab/line-process.ts';
import type { HostCalls, Setup } from './host-calls.ts';
import type { KubeObject } from './objects.ts';
import { planeNamed } from './planes.ts';

const mode = process.argv[2] ?? '';
const io = openKernelIo();
const subject = planeNamed(mode);
const plane = subject.openPlane(io);
const conntrack = Conntrack.open(io);
const planner = new Planner(
  { name: '', zone: undefined, primaryAddresses: [], nodePortAddresses: [] },
  () => undefined,
);
/** Routes that no object asks for. */
const extraRoutes = new RouteTable();

function describe({ node, flags, serviceCidrs }: Setup): NodeDescription {
  const config = configOf({ manifests: '.', 'hostname-override': node.metadata.name, ...flags });
  const interfaceAddresses = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => parseAddress(address))
    .filter((address) => address !== undefined);
  return describeNode(config, {
    object: decodeNode(node).object,
    interfaceAddresses,
    families: ['IPv4', 'IPv6'],
    serviceCidrs: serviceCidrs.map(parseCidr).filter((cidr) => cidr !== undefined),
  });
}

function decode(value: KubeObject): ProxyItem | undefined {
  if (value.kind === 'Service') {
    const { object } = decodeService(value);
    return object && { kind: 'Service', object };
  }
  const { object } = decodeEndpointSlice(value);
  return object && { kind: 'EndpointSlice', object };
}

/** What was decoded before, by kind and name: an object nobody can serve any more takes its old state away. */
const known = new Map<string, ProxyItem>();

function accept(type: 'set' | 'remove', value: KubeObject): void {
  const id = `${value.kind} ${value.metadata.name}`;
  const item = type === 'set' ? decode(value) : undefined;
  const before = known.get(id);
  if (item !== undefined) {
    known.set(id, item);
    planner.accept([{ type: 'set', item }]);
  } else if (before !== undefined) {
    known.delete(id);
    planner.accept([{ type: 'remove', item: before }]);
  }
}

function* allRoutes(): Iterable<Route> {
  yield* planner.routes();
  yield* extraRoutes.routes();
}

async function apply(changes: readonly RouteChange[]): Promise<WriteReport> {
  const report = await plane.apply(changes);
  await settle(changes);
  return report;
}

async function settle(changes: readonly RouteChange[]): Promise<void> {
  await sleep(subject.settleMs);
  await conntrack.deleteStaleUdp(staleUdpFlows(changes));
}

serveCalls<HostCalls>({
  capabilities: () => plane.probe(),
  open: async ({ setup, objects }) => {
    const { view, settings } = describe(setup);
    planner.setView(view);
    for (const object of objects) accept('set', object);
    const { changes } = await planner.plan(SYSTEM_CLOCK);
    const report = await plane.open({ ...settings, countedPorts: setup.countedPorts }, allRoutes());
    await settle(changes);
    return report;
  },
  change: async ({ remove, set }) => {
    await plane.tend();
    for (const object of remove) accept('remove', object);
    for (const object of set) accept('set', object);
    const { changes } = await planner.plan(SYSTEM_CLOCK);
    return apply(changes);
  },
  routes: ({ service, routes }) => apply(extraRoutes.replace(service, routes, '')),
  disturbed: () => plane.disturbed(),
  verify: () => plane.verify(),
  inspect: () => plane.inspect(),
  counters: async () => {
    while (!subject.hasCountedAll()) await sleep(20);
    return plane.counters();
  },
  remove: () => plane.remove(),
});
