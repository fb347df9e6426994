/**
 * The process that holds the plane under test, inside the lab's node: objects in, kernel programmed. It is asked
 * over standard input (host-calls.ts) and speaks of Services, so that the suite need not know any plane.
 *
 *     node plane-host.ts PLANE
 */
import { networkInterfaces } from 'node:os';
import { decodeEndpointSlice } from '../../../src/core/decode/endpoint-slice.ts';
import { decodeNode } from '../../../src/core/decode/node.ts';
import { decodeService } from '../../../src/core/decode/service.ts';
import { staleUdpFlows } from '../../../src/core/flows.ts';
import { parseAddress, parseCidr, type Address, type Cidr } from '../../../src/core/ip.ts';
import { objectKey, type ObjectKey } from '../../../src/core/model.ts';
import { primaryAddresses, resolveNodePortAddresses } from '../../../src/core/node-addresses.ts';
import type { LocalTraffic, NodeView, PlaneSettings } from '../../../src/core/node.ts';
import { RouteTable } from '../../../src/core/route-table.ts';
import type { RouteChange } from '../../../src/core/route.ts';
import { select } from '../../../src/core/select/select.ts';
import { ObjectStore } from '../../../src/core/store.ts';
import { Conntrack } from '../../../src/kernel/conntrack/conntrack.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import type { DataPlane, WriteReport } from '../../../src/planes/plane.ts';
import { serveCalls } from '../../lab/line-process.ts';
import type { HostCalls, Setup } from './host-calls.ts';
import type { KubeObject } from './objects.ts';
import { planeNamed } from './planes.ts';

const families = ['IPv4', 'IPv6'] as const;
const matchAll = ['0.0.0.0/0', '::/0'].map(cidr);

const io = openKernelIo();
const { openPlane } = planeNamed(process.argv[2] ?? '');
const conntrack = Conntrack.open(io);
const store = new ObjectStore();
const table = new RouteTable();
let view: NodeView = { name: '', zone: undefined, primaryAddresses: [], nodePortAddresses: [] };
let plane: DataPlane = openPlane(io);

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} is no CIDR`);
  return parsed;
}

function interfaceAddresses(): readonly Address[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => parseAddress(address))
    .filter((address) => address !== undefined);
}

function viewOf(setup: Setup): NodeView {
  const { object: node } = decodeNode(setup.node);
  const primary = primaryAddresses(node);
  return {
    name: node?.name ?? '',
    zone: node?.zone,
    primaryAddresses: primary,
    nodePortAddresses: resolveNodePortAddresses(
      setup.nodePortAddresses === 'primary' ? 'primary' : matchAll,
      primary,
      interfaceAddresses(),
    ),
  };
}

function settingsOf({ localTraffic, masqueradeAll }: Setup): PlaneSettings {
  const local: Record<string, LocalTraffic> = {};
  for (const family of families) {
    if (localTraffic.kind === 'cidr') {
      const own = localTraffic.cidrs.map(cidr).find((each) => each.family === family);
      if (own !== undefined) local[family] = { kind: 'cidr', cidr: own };
    } else if (localTraffic.kind !== 'none') {
      local[family] = localTraffic;
    }
  }
  return { families, masqueradeAll, localTraffic: local };
}

function keyOf({ metadata }: KubeObject): ObjectKey {
  return objectKey(metadata.namespace ?? '', metadata.name);
}

function put(value: KubeObject): void {
  if (value.kind === 'Service') {
    const { object } = decodeService(value);
    if (object === undefined) store.removeService(keyOf(value));
    else store.setService(object);
  } else {
    const { object } = decodeEndpointSlice(value);
    if (object === undefined) store.removeSlice(keyOf(value));
    else store.setSlice(object);
  }
}

function drop(value: KubeObject): void {
  if (value.kind === 'Service') store.removeService(keyOf(value));
  else store.removeSlice(keyOf(value));
}

/** Decides on one Service anew. */
function decide(key: ObjectKey): readonly RouteChange[] {
  const { service, slices } = store.get(key);
  const routes = service === undefined ? [] : select(service, slices, view).routes;
  return table.replace(key, routes, service?.createdAt ?? '');
}

async function program(changes: readonly RouteChange[]): Promise<WriteReport> {
  const report = await plane.apply(changes);
  await conntrack.deleteStaleUdp(staleUdpFlows(changes));
  return report;
}

function sum(reports: readonly WriteReport[]): WriteReport {
  return reports.reduce(
    (a, b) => ({
      operations: a.operations + b.operations,
      batches: a.batches + b.batches,
      kernelMs: a.kernelMs + b.kernelMs,
    }),
    { operations: 0, batches: 0, kernelMs: 0 },
  );
}

serveCalls<HostCalls>({
  capabilities: () => plane.probe(),
  open: async ({ setup, objects }) => {
    for (const object of objects) put(object);
    view = viewOf(setup);
    store.markAll();
    const changes = store.takeDirty().flatMap(decide);
    plane.close();
    plane = openPlane(io);
    const report = await plane.open(settingsOf(setup), table.routes());
    await conntrack.deleteStaleUdp(staleUdpFlows(changes));
    return report;
  },
  change: async ({ remove, set }) => {
    for (const object of remove) drop(object);
    for (const object of set) put(object);
    const reports: WriteReport[] = [];
    // One Service at a time: a list of changes must not name a Route twice.
    for (const key of store.takeDirty()) {
      const changes = decide(key);
      if (changes.length > 0) reports.push(await program(changes));
    }
    return sum(reports);
  },
  routes: ({ service, routes }) => program(table.replace(service, routes, '')),
  disturbed: () => plane.disturbed(),
  verify: () => plane.verify(),
  inspect: () => plane.inspect(),
  remove: () => plane.remove(),
});
