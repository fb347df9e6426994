/** The stand-in API server in the daemon's namespace. It is asked over standard input (calls.ts). */
import { writeFileSync } from 'node:fs';
import { type ApiServer, startApiServer } from '../../src/testing/api-server.ts';
import { createAuthority } from '../../src/testing/certificates.ts';
import { Churn } from '../../src/testing/churn.ts';
import { makeEndpointSlices, makeNode, makeServices } from '../../src/testing/cluster.ts';
import { serveCalls } from '../../test/lab/line-process.ts';
import { NODE_NAME } from '../cluster.ts';
import { now } from '../statistics.ts';
import type { ApiServerCalls, Change } from './calls.ts';

const TOKEN = 'bench';

let churn: Churn | undefined;
const changes: Change[] = [];

async function open(nodeAddress: string, services: number, endpoints: number): Promise<ApiServer> {
  const authority = createAuthority();
  const own = authority.issue({ commonName: 'kube-apiserver', hosts: ['127.0.0.1'] });
  const server = await startApiServer({
    tls: { ...own, authority: authority.certificate },
    token: TOKEN,
  });
  server.load('Node', [makeNode(NODE_NAME, nodeAddress)]);
  server.load('Service', makeServices({ services }));
  server.load('EndpointSlice', makeEndpointSlices({ services, endpoints }));
  server.encodeAhead('protobuf');
  return server;
}

serveCalls<ApiServerCalls>({
  open: async ({ nodeAddress, services, endpoints, kubeconfig }) => {
    const server = await open(nodeAddress, services, endpoints);
    writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
    churn = new Churn(server, ({ address }) => {
      // The event is encoded; TLS and the write to the socket follow at the end of this turn of the event loop.
      changes.push({ address, at: now() });
    });
    return null;
  },
  churn: ({ ratePerSecond }) => {
    churn?.setRate(ratePerSecond);
    return changes;
  },
});
