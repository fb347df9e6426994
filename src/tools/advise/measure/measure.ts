/**
 * `switchyard advise --measure`: builds Services in network namespaces of their own in each mode, and times it.
 *
 * Everything happens in a process with network, mount and process namespaces of its own: when it ends, however it ends, the kernel
 * ends the processes in it and removes its networks. Nothing of it can be seen from outside, and no name is left behind.
 */
import type { PlaneName, PlaneOffer } from '../../../agent/mode.ts';
import type { ProxyItem } from '../../../core/change.ts';
import { ToolError } from '../../errors.ts';
import { runChild, serveJob } from './child.ts';
import { type ConnectIo, ConnectTimer } from './connect-timer.ts';
import { runPlane } from './plane-run.ts';
import type { Effort, Measurement } from './results.ts';
import type { Role } from './roles.ts';
import { BACKEND_FILE, WARM_UP_CONNECTIONS, measureInScratch } from './scratch.ts';

/** What to measure, and with what. */
export interface MeasureOptions {
  readonly planes: readonly PlaneName[];
  readonly items: readonly ProxyItem[];
  readonly effort: Effort;
  /** Starts a process that calls {@link serveRole} with the role that is added as its last argument. */
  readonly program: readonly string[];
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** `unshare` of util-linux. The process in there is killed with it, and all others with that process. */
const UNSHARE = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child'] as const;

/**
 * Measures.
 *
 * Rejects with a {@link ToolError}: `SY_MEASURE_IMPOSSIBLE` without rights or objects, `SY_MEASURE_FAILED`; and with the reason of
 * the signal.
 */
export async function measureModes(options: MeasureOptions): Promise<Measurement> {
  const { planes, items, effort, program, signal, onProgress } = options;
  if (process.getuid?.() !== 0) {
    throw new ToolError(
      'SY_MEASURE_IMPOSSIBLE',
      'Cannot measure: making network namespaces needs root. Run it as root, or leave --measure out.',
    );
  }
  if (!items.some(({ kind }) => kind === 'Service')) {
    throw new ToolError(
      'SY_MEASURE_IMPOSSIBLE',
      'Cannot measure: there is no Service to build. Name manifests, a kubeconfig, or --services.',
    );
  }
  const title = 'a namespace of its own (needs unshare of util-linux, and iproute2)';
  return runChild(
    'scratch',
    { planes, items, effort, program },
    { title, command: [...UNSHARE, ...program], signal, onProgress },
  );
}

/** Plays a role in a process that {@link measureModes} has started. Never resolves: the process ends with it. */
export async function serveRole(
  role: Role,
  offers: () => readonly PlaneOffer[],
  openIo: () => ConnectIo,
): Promise<never> {
  if (role === 'scratch') return serveJob<'scratch'>(measureInScratch);
  if (role === 'plane') return serveJob<'plane'>(async (job) => runPlane(job, offers()));
  return serveJob<'client'>(async ({ targets, rounds }) => {
    const ports = targets.map(({ endpointPort }) => endpointPort);
    const timer = ConnectTimer.open(openIo(), BACKEND_FILE, ports);
    timer.measure(targets, WARM_UP_CONNECTIONS, Math.random);
    return Promise.resolve(timer.measure(targets, rounds, Math.random));
  });
}
