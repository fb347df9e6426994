/**
 * The client, in its namespace, with the backend's listening socket.
 *
 *     node client-worker.ts NAMESPACE-OF-BACKEND
 */
import { openKernelIo, openTcpIo } from '../src/kernel/koffi-io.ts';
import { ConnectTimer } from '../src/tools/advise/measure/connect-timer.ts';
import { serveCalls } from '../test/lab/line-process.ts';
import type { ClientCalls } from './client-calls.ts';
import { ENDPOINT_PORT } from './cluster.ts';

const io = { kernel: openKernelIo(), tcp: openTcpIo() };
const timer = ConnectTimer.open(io, `/run/netns/${process.argv[2] ?? ''}`, [ENDPOINT_PORT]);

serveCalls<ClientCalls>({
  connect: ({ targets, rounds }) => {
    const all = targets.map((target) => {
      return { ...target, endpointPort: ENDPOINT_PORT, device: undefined };
    });
    return timer.measure(all, rounds, Math.random);
  },
});
