/** The daemon: follows objects and the node's addresses, keeps the data plane up to date, and tells about it. */
import type { Address } from '../core/ip.ts';
import { LINK as SERVICE_LINK } from '../planes/ipvs/schema.ts';
import { type ApiConnection, openApiConnection } from './api-connection.ts';
import { openApi } from './api-source.ts';
import type { AgentConfig } from './config/agent-config.ts';
import { AgentError } from './errors.ts';
import { NO_EVENTS, serviceWarning } from './event-notes.ts';
import { FlowCleaner } from './flow-cleaner.ts';
import { HealthState } from './http/health-state.ts';
import { ServiceHealth } from './http/service-health.ts';
import type { InterfaceAddresses, Machine } from './machine.ts';
import { openManifests } from './manifest-source.ts';
import { AgentMetrics } from './metrics/agent-metrics.ts';
import { NodeTracker } from './node-tracker.ts';
import { type Observers, apiEvents, flowEvents, noteChanges, pipelineEvents } from './observers.ts';
import { Pipeline } from './pipeline.ts';
import { type Pages, openPorts } from './ports.ts';
import { Reporter } from './reporter.ts';
import { AgentStatus } from './status/agent-status.ts';
import { openStatusSocket } from './status/open.ts';
import { setUpMachine } from './set-up-machine.ts';
import type { ObjectSource, TakeChanges } from './source.ts';
import { openSwitcher } from './switching/open.ts';

/** Virtual and real servers in an answer of `/metrics`. */
const MAX_IPVS_SERVERS = 5000;
/** How often to ask whether somebody else wrote rules, in milliseconds. */
const POLL_MS = 1000;
/** How often to compare everything although nobody seems to have written, in milliseconds. */
const QUIET_MS = 600_000;

/**
 * Serves until `signal` aborts; what is programmed then stays. Closes the machine's address source.
 *
 * Rejects with an {@link AgentError} when the options do not fit this node or a port cannot be had that
 * must be, with a ManifestError when the manifests cannot be read, with a KubeError when nothing says how
 * to reach the API server, and with a KernelError when the addresses cannot be followed any more.
 */
export async function runAgent(
  config: AgentConfig,
  pages: Pages,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const { addresses, clock, wallTime, modes } = machine;
  // A switch of the mode changes it.
  let { plane } = machine;
  let variant = modes?.present.offer.variant;
  const { mode, nodeName, syncPeriodMs, serviceMetrics } = config;
  await using atEnd = new AsyncDisposableStack();
  atEnd.defer(async () => addresses.close());
  await using api = connect(config, machine, () => observed);
  const reporter = new Reporter({ mode, nodeName, source: nameSource(config, api) }, machine.log);
  const tracker = new NodeTracker(config, machine.families, () =>
    nodeAddresses(addresses.addresses),
  );
  const first = tracker.describe();
  const { families } = first.settings;
  const metrics = new AgentMetrics({
    mode,
    families,
    wallTime,
    version: pages.status().version,
    featureGates: [],
    traffic:
      serviceMetrics > 0
        ? { read: async () => plane.counters(), maxPorts: serviceMetrics }
        : undefined,
    ipvs: machine.readIpvs && { read: machine.readIpvs, maxServers: MAX_IPVS_SERVERS },
  });
  const observed = { reporter, metrics };
  const events = api?.events ?? NO_EVENTS;
  const setUpAgain = setUpMachine(config, machine, reporter, events);

  const health = new HealthState({ clock, wallTime, syncPeriodMs });
  for (const family of families) health.updated(family);
  let isServing = false;
  let { eligible } = first;
  const updateEligibility = (): void => {
    health.setNodeEligible(isServing && eligible);
  };
  updateEligibility();
  await using serviceHealth = new ServiceHealth({
    health,
    addresses: first.healthCheckAddresses,
    clock,
    failed: (service, error) => {
      reporter.healthCheckFailed(service, error);
      const reason = 'FailedToStartServiceHealthcheck';
      events.record(serviceWarning(service, reason, 'Listen', error.message));
    },
    fault: (error) => {
      reporter.requestFailed(error);
    },
  });
  await using _ports = await openPorts({
    config,
    mode: () => plane.mode,
    pages,
    health,
    metrics,
    reporter,
    events,
    clock,
  });

  const observers: Observers = {
    nodeName,
    families,
    reporter,
    metrics,
    health,
    serviceHealth,
    events,
    onServing: () => {
      isServing = true;
      updateEligibility();
      setUpAgain();
      void switcher?.resume();
    },
  };
  const { version } = pages.status();
  const status = new AgentStatus({ version, pid: process.pid, node: nodeName }, wallTime);
  const cleaner = new FlowCleaner(machine.deleteFlows, flowEvents(observers), () => clock.now());
  await using pipeline = new Pipeline({
    plane,
    view: first.view,
    settings: first.settings,
    clock,
    coalesceMs: Math.min(config.coalesceMs, config.minSyncPeriodMs ?? config.coalesceMs),
    verify: { pollMs: POLL_MS, verifyMs: config.verifyMs, quietMs: QUIET_MS },
    events: status.watch(pipelineEvents(observers, cleaner)),
  });
  const updateNode = (at: number): string | undefined => {
    const description = tracker.describe();
    reporter.node(description);
    ({ eligible } = description);
    updateEligibility();
    serviceHealth.setAddresses(description.healthCheckAddresses);
    pipeline.setNode(description.view, description.settings, at);
    return description.fatal;
  };
  await using switcher =
    modes &&
    openSwitcher(modes, machine, {
      pipeline,
      tracker,
      metrics,
      reporter,
      onMode: (present) => {
        ({ plane } = present);
        ({ variant } = present.offer);
      },
      updateNode: () => {
        updateNode(clock.now());
      },
    });
  await using _status = openStatusSocket(config, machine, {
    status,
    pipeline,
    reporter,
    switcher,
    present: () => ({ plane, variant }),
  });
  // Before, nobody can say what the Node lacks: it may only come last.
  let isSynced = false;
  const take: TakeChanges = (changes, at) => {
    noteChanges(observers, changes);
    if (tracker.take(changes) && isSynced) updateNode(at);
    pipeline.accept(changes, at);
  };
  const stopped = untilAborted(signal);
  await using source = await openSource(config, machine, api, observers, take);
  await Promise.race([source.synced, stopped]);
  if (signal.aborted) return;
  isSynced = true;
  const fatal = updateNode(clock.now());
  if (fatal !== undefined) throw new AgentError('SY_CONFIG_INVALID', `${fatal}.`);
  pipeline.complete();
  const followAddresses = async (): Promise<void> => {
    for await (const _addresses of addresses) updateNode(clock.now());
  };
  await Promise.race([followAddresses(), source.done, stopped]);
}

/**
 * Sets the machine up as for {@link runAgent}, and no more (kube-proxy: `--init-only`). Resolves once all objects
 * could be had, so that who waits for it knows that the proxy will be able to serve. Rejects as runAgent does.
 */
export async function initialise(
  config: AgentConfig,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const { mode, nodeName } = config;
  const { wallTime } = machine;
  await using api = connect(config, machine, () => observed);
  const reporter = new Reporter({ mode, nodeName, source: nameSource(config, api) }, machine.log);
  const families = config.families ?? machine.families;
  const metrics = new AgentMetrics({
    mode,
    families,
    wallTime,
    version: '',
    featureGates: [],
    traffic: undefined,
    ipvs: undefined,
  });
  const observed = { reporter, metrics };
  setUpMachine(config, machine, reporter, NO_EVENTS);
  await using source = await openSource(config, machine, api, observed, () => undefined);
  await Promise.race([source.synced, untilAborted(signal)]);
}

/** Those of Services are not the node's, whichever proxy in ipvs mode bound them. */
function nodeAddresses(addresses: InterfaceAddresses): readonly Address[] {
  return addresses.flatMap(({ address, interfaceName }) =>
    interfaceName === SERVICE_LINK ? [] : address,
  );
}

function nameSource({ source }: AgentConfig, api: ApiConnection | undefined): string {
  return source.kind === 'manifests' ? source.path : (api?.client.server ?? '');
}

type Observed = Pick<Observers, 'reporter' | 'metrics'>;

function connect(
  { source, nodeName }: AgentConfig,
  { env, clock, wallTime, random }: Machine,
  observed: () => Observed,
): ApiConnection | undefined {
  if (source.kind !== 'api') return undefined;
  const { kubeconfig, master } = source;
  return openApiConnection({
    kubeconfig,
    master,
    nodeName,
    env,
    clock,
    wallTime,
    random,
    onEventLost: (reason, error) => {
      observed().reporter.eventLost(reason, error);
    },
    onRequest: (request) => {
      observed().metrics.apiRequest(request);
    },
  });
}

async function openSource(
  { source, nodeName }: AgentConfig,
  { clock, random }: Machine,
  api: ApiConnection | undefined,
  observers: Observed,
  take: TakeChanges,
): Promise<ObjectSource> {
  if (source.kind === 'manifests') {
    return openManifests(source.path, (update) => observers.reporter.manifests(update), take);
  }
  if (api === undefined) throw new TypeError('There is no connection to the API server.');
  return openApi(
    {
      client: api.client,
      nodeName,
      format: source.contentType,
      watchList: source.watchList,
      clock,
      random,
      events: apiEvents(observers),
    },
    take,
  );
}

/** Resolves as soon as the signal aborts. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => {
    resolve();
  });
  if (signal.aborted) resolve();
  await promise;
}
