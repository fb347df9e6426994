/** The way to the API server: requests, Events, and what happens on it. */
import type { Clock, WallTime } from '../core/clock.ts';
import type { Environment } from '../kube/access.ts';
import { findAccess } from '../kube/connect.ts';
import type { KubeError } from '../kube/errors.ts';
import { EventRecorder } from '../kube/event-recorder.ts';
import { type ApiClient, Transport } from '../kube/transport.ts';
import { CONTROLLER } from './event-notes.ts';
import { meteredClient } from './metered-client.ts';
import type { ApiRequestFacts } from './metrics/agent-metrics.ts';

/** What a connection is made with. */
export interface ApiConnectionOptions {
  readonly kubeconfig: string | undefined;
  readonly master: string | undefined;
  readonly nodeName: string;
  readonly env: Environment;
  readonly clock: Clock;
  readonly wallTime: WallTime;
  readonly random: () => number;
  /** An Event of this reason could not be written and is given up. */
  readonly onEventLost: (reason: string, error: KubeError) => void;
  readonly onRequest: (request: ApiRequestFacts) => void;
}

/** An API server that can be asked. */
export interface ApiConnection extends AsyncDisposable {
  readonly client: ApiClient;
  readonly events: EventRecorder;
}

/**
 * Finds the API server; nothing is sent yet.
 *
 * Throws a KubeError `SY_KUBE_CONFIG_…` or `SY_KUBE_CREDENTIALS` when it is not said where it is.
 */
export function openApiConnection(options: ApiConnectionOptions): ApiConnection {
  const { kubeconfig = '', master = '', nodeName, env, clock, wallTime, random } = options;
  const access = findAccess({ kubeconfig, master }, { env, clock, wallTime });
  const transport = new Transport(access, clock);
  const client = meteredClient(transport, clock, options.onRequest);
  const events = new EventRecorder({
    client,
    reporter: { controller: CONTROLLER, instance: `${CONTROLLER}-${nodeName}` },
    clock,
    wallTime,
    random,
    onLost: (note, error) => {
      options.onEventLost(note.reason, error);
    },
  });
  return {
    client,
    events,
    [Symbol.asyncDispose]: async () => {
      await events.close();
      transport.close();
    },
  };
}
