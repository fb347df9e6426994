/** Loads kube-proxy's rules as kube-proxy does, in a node's namespace: a process for every change. */
import { execFileSync } from 'node:child_process';
import { serveCalls } from '../../test/lab/line-process.ts';
import { ENDPOINTS } from '../cluster.ts';
import type { WorkerCalls } from './calls.ts';
import { JUMPS, endpointChange, fullLoad } from './kube-proxy-shape.ts';

const program = `iptables-${process.argv[2] === 'legacy' ? 'legacy' : 'nft'}-restore`;
let network = 0;
let services = 0;

function restore(input: string): number {
  const started = performance.now();
  execFileSync(program, ['-w', '5', '--noflush', '--counters'], {
    input,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  return performance.now() - started;
}

serveCalls<WorkerCalls>({
  load: (params) => {
    ({ network, services } = params);
    restore(JUMPS);
    const ms = restore(fullLoad(network, services));
    return { ms, kernelMs: ms, operations: 0 };
  },
  changeEndpoints: ({ count }) =>
    Array.from({ length: count }, (_, change) => {
      const without = change % 2 === 0 ? change % ENDPOINTS : undefined;
      const service = Math.floor(change / 2) % services;
      return restore(endpointChange(network, services, service, without));
    }),
});
