/** The plane under test, in a node's namespace: `worker.ts VARIANT`. It is asked over standard input (calls.ts). */
import { setTimeout } from 'node:timers/promises';
import type { ObjectChange } from '../../src/core/change.ts';
import { openIptablesPlane } from '../../src/planes/iptables/plane.ts';
import { serveCalls } from '../../test/lab/line-process.ts';
import { Agent } from '../agent.ts';
import { ENDPOINTS, STRIDE, makeService, makeSlice } from '../cluster.ts';
import type { WorkerCalls } from './calls.ts';

/** Endpoints do not change without a pause: the kernel frees the rules of one batch while nobody waits for it. */
const PAUSE_MS = 50;

const variant = process.argv[2] === 'legacy' ? 'legacy' : 'nft';
const plane = openIptablesPlane({ variant, masqueradeBit: 14, localhostNodePorts: true });
const agent = new Agent(plane);
let network = 0;
let services = 0;
let changes = 0;

function setSlice(service: number, without?: number): ObjectChange {
  const object = makeSlice(network, service, without);
  return { type: 'set', item: { kind: 'EndpointSlice', object } };
}

serveCalls<WorkerCalls>({
  load: async (params) => {
    ({ network, services } = params);
    const objects: ObjectChange[] = [];
    for (let service = 0; service < services; service++) {
      const object = makeService(network, service);
      objects.push({ type: 'set', item: { kind: 'Service', object } }, setSlice(service));
    }
    const started = performance.now();
    const { kernelMs, operations } = await agent.load(objects);
    return { ms: performance.now() - started, kernelMs, operations };
  },
  changeEndpoints: async ({ count }) => {
    const samples: number[] = [];
    for (let sample = 0; sample < count; sample++, changes++) {
      const pair = Math.floor(changes / 2);
      const service = (pair * STRIDE) % services;
      const change = setSlice(service, changes % 2 === 0 ? pair % ENDPOINTS : undefined);
      await setTimeout(PAUSE_MS);
      samples.push((await agent.change([change])).latencyMs);
    }
    return samples;
  },
});
