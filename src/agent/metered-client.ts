/** Counts requests to the API server. */
import type { Clock } from '../core/clock.ts';
import { KubeError } from '../kube/errors.ts';
import type { ApiClient } from '../kube/transport.ts';
import type { ApiRequestFacts } from './metrics/agent-metrics.ts';

/** Passes requests on and tells of each when its answer began, or that there was none. */
export function meteredClient(
  client: ApiClient,
  clock: Pick<Clock, 'now'>,
  onRequest: (request: ApiRequestFacts) => void,
): ApiClient {
  const { host } = new URL(client.server);
  return {
    server: client.server,
    request: async (request) => {
      const startedAt = clock.now();
      const tell = (code: number | undefined): void => {
        const seconds = (clock.now() - startedAt) / 1000;
        onRequest({ method: request.method, host, code, seconds });
      };
      try {
        const answer = await client.request(request);
        tell(answer.status);
        return answer;
      } catch (error) {
        if (!request.signal.aborted) tell(error instanceof KubeError ? error.status : undefined);
        throw error;
      }
    },
  };
}
