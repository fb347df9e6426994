/** Measures all modes one after the other, inside the namespaces that measure.ts has made for it. */
import { availableParallelism, release } from 'node:os';
import type { PlaneName } from '../../../agent/mode.ts';
import { ToolError } from '../../errors.ts';
import { type ChildOptions, runChild } from './child.ts';
import type { ConnectTarget } from './connect-timer.ts';
import {
  BACKEND,
  CLIENT,
  addBareNamespace,
  buildNetwork,
  clientRange,
  inNamespace,
  nodeAddress,
  nodeName,
  removeNamespace,
} from './network.ts';
import type { PlaneRun } from './plane-run.ts';
import type { ConnectOutcome, Effort, Measurement, ModeOutcome, PlaneOutcome } from './results.ts';
import type { JobOf } from './roles.ts';
import { summarise } from './statistics.ts';
import { type ServiceAim, connectable } from './workload.ts';

/** Connections before those that count. */
export const WARM_UP_CONNECTIONS = 300;
/** Services that are connected to in each mode, though only two count: those in between keep caches as busy as in `npm run bench`. */
const CONNECTED_SERVICES = 8;
/** The node without rules. */
const BARE_NODE = 0;

/** Does the job. Rejects with a ToolError `SY_MEASURE_FAILED`, and with what `ip` refuses. */
export async function measureInScratch(
  { planes, items, effort, program }: JobOf<'scratch'>,
  onProgress: (text: string) => void,
): Promise<Measurement> {
  const started = performance.now();
  const aims = connectable(items, CONNECTED_SERVICES);
  buildNetwork(
    planes.length + 1,
    aims.flatMap(({ endpoints }) => endpoints),
  );
  const inside = (namespace: string): ChildOptions => ({
    title: namespace,
    command: ['ip', ...inNamespace(namespace, program)],
    // Whoever ends this process ends all of them.
    signal: new AbortController().signal,
    onProgress,
  });
  const measured: { readonly name: PlaneName; readonly node: number; outcome: PlaneOutcome }[] = [];
  for (const [index, name] of planes.entries()) {
    const node = index + 1;
    onProgress(`${name}: full loads and changes of one endpoint`);
    const job = { name, items, address: nodeAddress(node), local: clientRange() };
    const run = async (namespace: string, changes: Effort | undefined): Promise<PlaneRun> =>
      runChild('plane', { ...job, changes }, inside(namespace));
    const outcome = await loadAndChange(run, nodeName(node), effort).catch(asUnusable);
    measured.push({ name, node, outcome });
  }
  onProgress('connections');
  const usable = measured.filter(({ outcome }) => outcome.usable);
  const targets = targetsOf(
    aims,
    usable.map(({ node }) => node),
  );
  const job = { targets, rounds: effort.connections };
  const samples =
    targets.length === 0
      ? []
      : await runChild('client', job, inside(CLIENT)).catch((error: unknown) => {
          onProgress(`connections were not measured: ${asFailure(error).message}`);
          return [];
        });
  const [bare, ...others] = samples;
  return {
    services: items.filter(({ kind }) => kind === 'Service').length,
    endpoints: items.reduce(
      (sum, item) => sum + (item.kind === 'EndpointSlice' ? item.object.endpoints.length : 0),
      0,
    ),
    kernel: release(),
    processors: availableParallelism(),
    modes: measured.map(({ name, node, outcome }): ModeOutcome => {
      const at = aims.length * usable.findIndex((plane) => plane.node === node);
      const own = at < 0 ? [] : others.slice(at, at + aims.length);
      return { name, plane: outcome, connect: summariseConnections(own) };
    }),
    withoutRules: bare && summarise(bare),
    seconds: (performance.now() - started) / 1000,
  };
}

/** The file by which the client finds the namespace of the backend. */
export const BACKEND_FILE = `/run/netns/${BACKEND}`;

/** Full loads, each in a new process and a new namespace: what a kernel remembers of the last one must not count. */
async function loadAndChange(
  run: (namespace: string, changes: Effort | undefined) => Promise<PlaneRun>,
  node: string,
  effort: Effort,
): Promise<PlaneOutcome> {
  const loads: number[] = [];
  do {
    const namespace = `${node}-load${loads.length}`;
    addBareNamespace(namespace);
    const first = await run(namespace, undefined);
    removeNamespace(namespace);
    if (!first.usable) return first;
    loads.push(first.loadMs);
  } while (loads.length < effort.loads - 1 && total(loads) < effort.loadMs);
  const last = await run(node, effort);
  if (!last.usable) return last;
  const { loadMs, operations, changeMs } = last;
  return {
    usable: true,
    load: summarise([...loads, loadMs]),
    operations,
    change: changeMs.length === 0 ? undefined : summarise(changeMs),
  };
}

/** A mode that fails is no reason not to measure the others. */
function asUnusable(error: unknown): PlaneOutcome {
  return { usable: false, reasons: [asFailure(error).message] };
}

/** The failure of another process; throws any other error. */
function asFailure(error: unknown): ToolError {
  if (error instanceof ToolError) return error;
  throw error;
}

/** Samples of each Service, in their order. */
function summariseConnections(
  services: readonly (readonly number[])[],
): ConnectOutcome | undefined {
  const [first] = services;
  const last = services.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return { first: summarise(first), last: summarise(last) };
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** An endpoint itself through the node without rules; then all Services through each node. */
function targetsOf(
  aims: readonly ServiceAim[],
  nodes: readonly number[],
): readonly ConnectTarget[] {
  const [first] = aims;
  const [endpoint] = first?.endpoints ?? [];
  if (first === undefined || endpoint === undefined) return [];
  const { endpointPort } = first;
  return [
    { address: endpoint, port: endpointPort, endpointPort, device: nodeName(BARE_NODE) },
    ...nodes.flatMap((node) =>
      aims.map(({ address, port, endpointPort: arrival }) => {
        return { address, port, endpointPort: arrival, device: nodeName(node) };
      }),
    ),
  ];
}
