/** The process under test, in a network namespace of the guest. It is asked over standard input (calls.ts). */
import type { ObjectChange } from '../../src/core/change.ts';
import { openKernelIo } from '../../src/kernel/koffi-io.ts';
import { openIpvsPlane } from '../../src/planes/ipvs/plane.ts';
import { configOf } from '../../test/lab/agent-config.ts';
import { serveCalls } from '../../test/lab/line-process.ts';
import { Agent } from '../agent.ts';
import { ENDPOINTS, STRIDE, makeService, makeSlice } from '../cluster.ts';
import type { WorkerCalls } from './calls.ts';

/** No packet is sent: all namespaces can have the same addresses. */
const NETWORK = 0;

const { ipvs, masqueradeBit } = configOf({ manifests: '.' });
const plane = openIpvsPlane(openKernelIo(), { ...ipvs, masqueradeBit });
// As the agent does, before it has any object.
plane.probe();
const agent = new Agent(plane);
let services = 0;
let changes = 0;

function setSlice(service: number, without?: number): ObjectChange {
  const object = makeSlice(NETWORK, service, without);
  return { type: 'set', item: { kind: 'EndpointSlice', object } };
}

serveCalls<WorkerCalls>({
  load: async (params) => {
    ({ services } = params);
    const objects: ObjectChange[] = [];
    for (let service = 0; service < services; service++) {
      const object = makeService(NETWORK, service);
      objects.push({ type: 'set', item: { kind: 'Service', object } }, setSlice(service));
    }
    const started = performance.now();
    const { kernelMs, operations } = await agent.load(objects);
    return { ms: performance.now() - started, kernelMs, operations };
  },
  changeEndpoints: async ({ count }) => {
    const removed: number[] = [];
    const added: number[] = [];
    const chosen = Array.from({ length: count }, (_, index) => changes + index);
    changes += count;
    for (const change of chosen) {
      const slice = setSlice((change * STRIDE) % services, change % ENDPOINTS);
      removed.push((await agent.change([slice])).latencyMs);
    }
    // What the agent does within a second: idle real servers are deleted, so that they are really added again.
    await plane.tend();
    for (const change of chosen) {
      const slice = setSlice((change * STRIDE) % services);
      added.push((await agent.change([slice])).latencyMs);
    }
    return { removed, added };
  },
});
