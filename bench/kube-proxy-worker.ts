/** Loads kube-proxy's rules as kube-proxy does, in a node's namespace: a process `nft -f -` for every change. */
import { execFileSync } from 'node:child_process';
import { serveCalls } from '../test/lab/line-process.ts';
import { ENDPOINTS } from './cluster.ts';
import type { KubeProxyCalls } from './kube-proxy-calls.ts';
import { endpointChange, fullLoad } from './kube-proxy-shape.ts';

let network = 0;
let services = 0;

function nft(text: string): number {
  const started = performance.now();
  execFileSync('nft', ['-f', '-'], { input: text, stdio: ['pipe', 'ignore', 'pipe'] });
  return performance.now() - started;
}

serveCalls<KubeProxyCalls>({
  load: (params) => {
    ({ network, services } = params);
    return nft(fullLoad(network, services));
  },
  changeEndpoints: ({ count }) =>
    Array.from({ length: count }, (_, change) => {
      const without = change % 2 === 0 ? change % ENDPOINTS : undefined;
      return nft(endpointChange(network, Math.floor(change / 2) % services, without));
    }),
});
