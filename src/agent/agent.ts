/** The daemon: follows manifests and the node's addresses, and keeps the data plane up to date. */
import type { Address, Family } from '../core/ip.ts';
import type { NodeObject } from '../core/model.ts';
import { ManifestSource } from '../manifests/source.ts';
import type { DataPlane } from '../planes/plane.ts';
import type { AgentClock } from './clock.ts';
import type { AgentConfig } from './config.ts';
import { AgentError } from './errors.ts';
import { type DeleteFlows, FlowCleaner } from './flow-cleaner.ts';
import type { Logger } from './log.ts';
import { describeNode } from './node.ts';
import { Pipeline, type PipelineEvents } from './pipeline.ts';
import { Reporter } from './reporter.ts';

/** Addresses of interfaces. */
export type InterfaceAddresses = readonly { readonly address: Address }[];

/** The addresses of this machine. Iterating gives all of them, at once and after each change. */
export interface AddressSource extends AsyncIterable<InterfaceAddresses> {
  readonly addresses: InterfaceAddresses;
  /** Ends the iteration. */
  close(): Promise<void>;
}

/** What an agent uses of the machine it runs on. */
export interface Machine {
  readonly plane: DataPlane;
  readonly addresses: AddressSource;
  readonly deleteFlows: DeleteFlows;
  /** Families the kernel has. */
  readonly families: readonly Family[];
  readonly clock: AgentClock;
  readonly log: Logger;
}

/** How often to ask whether somebody else wrote rules, in milliseconds. */
const POLL_MS = 1000;
/** How often to compare everything although nobody seems to have written, in milliseconds. */
const QUIET_MS = 600_000;

/**
 * Serves until `signal` aborts; what is programmed then stays. Closes the machine's address source.
 *
 * Rejects with an {@link AgentError} when this machine does not allow it, with a ManifestError when the
 * manifests cannot be read, and with a KernelError when the addresses cannot be followed any more.
 */
export async function runAgent(
  config: AgentConfig,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const { plane, addresses, clock } = machine;
  requireUsable(plane);
  const reporter = new Reporter(config, machine.log);
  const cleaner = new FlowCleaner(machine.deleteFlows, reporter, () => clock.now());
  let node: NodeObject | undefined;
  const describe = (): ReturnType<typeof describeNode> =>
    describeNode(config, {
      object: node,
      interfaceAddresses: addresses.addresses.map(({ address }) => address),
      families: machine.families,
    });
  const { view, settings } = describe();
  await using pipeline = new Pipeline({
    plane,
    view,
    settings,
    clock,
    coalesceMs: config.coalesceMs,
    verify: { pollMs: POLL_MS, verifyMs: config.verifyMs, quietMs: QUIET_MS },
    events: pipelineEvents(reporter, cleaner),
  });
  const updateNode = (at: number): void => {
    const description = describe();
    reporter.node(description);
    pipeline.setNode(description.view, description.settings, at);
  };
  using _source = await ManifestSource.open({
    path: config.manifests,
    onUpdate: (update) => {
      reporter.manifests(update);
      for (const { type, item } of update.changes) {
        if (item.kind !== 'Node' || item.object.name !== config.nodeName) continue;
        node = type === 'set' ? item.object : undefined;
        updateNode(update.noticedAt);
      }
      pipeline.accept(update.changes, update.noticedAt);
    },
  });
  updateNode(clock.now());
  pipeline.complete();
  const stop = (): void => {
    void addresses.close();
  };
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  for await (const _addresses of addresses) updateNode(clock.now());
}

function requireUsable(plane: DataPlane): void {
  const missing = plane.probe().filter(({ ok }) => !ok);
  if (missing.length === 0) return;
  const reasons = missing.map(({ name, detail }) => `${name}: ${detail}`);
  const message = `The ${plane.mode} mode cannot work here. ${reasons.join(' ')}`;
  throw new AgentError('SY_PLANE_UNUSABLE', message);
}

function pipelineEvents(reporter: Reporter, cleaner: FlowCleaner): PipelineEvents {
  return {
    onQueued: () => undefined,
    onSynced: ({ programmed }) => {
      if (programmed !== undefined) reporter.programmed(programmed);
    },
    onFailure: (error, retryMs) => reporter.failure(error, retryMs),
    onRecovered: () => reporter.recovered(),
    onVerified: (report) => reporter.verified(report),
    onProblems: (service, problems) => reporter.problems(service, problems),
    onConflict: (conflict) => reporter.conflict(conflict),
    onStaleFlows: (stale) => cleaner.clean(stale),
  };
}
