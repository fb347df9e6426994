/** The process that runs on every lab host: echo servers, probes, kept connections. Asked over standard input. */
import { serveCalls } from '../line-process.ts';
import type { AgentCalls } from './calls.ts';
import { KeptConnections, ProbeLoops } from './connections.ts';
import { probes } from './probes.ts';
import { EchoServers } from './servers.ts';

const servers = new EchoServers();
const connections = new KeptConnections();
const loops = new ProbeLoops();

serveCalls<AgentCalls>({
  listen: async (params) => {
    await servers.listen(params);
    return null;
  },
  unlisten: async (params) => {
    await servers.unlisten(params);
    return null;
  },
  tcp: (params) => probes('TCP', params),
  udp: (params) => probes('UDP', params),
  open: (params) => connections.open(params),
  send: (params) => connections.send(params),
  close: async (params) => {
    await connections.close(params);
    return null;
  },
  startLoop: async (params) => ({ loop: await loops.start(params) }),
  endLoop: ({ loop }) => loops.end(loop),
});
