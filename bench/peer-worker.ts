/** The stand-in API server in a node's namespace, for a kube-proxy to read from. It is asked over standard input. */
import { type ApiServer, startApiServer } from '../src/testing/api-server.ts';
import { makeEndpointSlices, makeNode, makeServices } from '../src/testing/cluster.ts';
import { objectIn } from '../src/testing/json.ts';
import { serveCalls } from '../test/lab/line-process.ts';
import { ENDPOINTS, NODE_NAME, clusterIp, endpointAddress, makeSlice } from './cluster.ts';
import { nodeAddress } from './network.ts';
import { now } from './statistics.ts';

/** What the API server can be asked. */
export type PeerCalls = {
  /** Listens on loopback, with the objects of the other rows. Result: its URL. */
  readonly open: {
    readonly params: { readonly network: number; readonly services: number };
    readonly result: string;
  };
  /** Moves all endpoints of a Service to a port. Result: when that was written, in milliseconds of CLOCK_MONOTONIC. */
  readonly movePort: {
    readonly params: { readonly service: number; readonly port: number };
    readonly result: number;
  };
};

let network = 0;
let server: ApiServer | undefined;

serveCalls<PeerCalls>({
  open: async (params) => {
    ({ network } = params);
    server = await startApiServer();
    const objects = {
      services: params.services,
      endpoints: ENDPOINTS,
      clusterIp: (service: number) => clusterIp(network, service),
      endpointAddress: (service: number, endpoint: number) =>
        endpointAddress(network, service, endpoint),
    };
    server.load('Node', [makeNode(NODE_NAME, nodeAddress(network))]);
    server.load('Service', makeServices(objects));
    server.load('EndpointSlice', makeEndpointSlices(objects));
    server.encodeAhead('json');
    return server.url;
  },
  movePort: ({ service, port }) => {
    const { namespace, name } = makeSlice(network, service);
    const slice = server?.get('EndpointSlice', namespace, name);
    if (server === undefined || slice === undefined) throw new Error(`there is no slice ${name}`);
    const written = now();
    server.apply({
      ...slice,
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...objectIn(slice, 'metadata'), resourceVersion: undefined },
      ports: [{ name: 'http', protocol: 'TCP', port }],
    });
    return written;
  },
});
