import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import { anonymousAccess } from '../../../../src/kube/kubeconfig.ts';
import { Transport } from '../../../../src/kube/transport.ts';
import { startApiServer } from '../../../../src/testing/api-server.ts';
import { makeNode } from '../../../../src/testing/cluster.ts';
import { factsOf, readCluster, readManifests } from '../../../../src/tools/advise/read-objects.ts';
import { service } from '../../core/build.ts';

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'web',
    namespace: 'shop',
    annotations: { 'switchyard.dev/ipvs-scheduler': 'lc' },
  },
  spec: { ports: [{ port: 80 }], sessionAffinity: 'ClientIP', clusterIP: '10.96.0.7' },
};
const SLICE = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    name: 'web-1',
    namespace: 'shop',
    labels: { 'kubernetes.io/service-name': 'web' },
  },
  addressType: 'IPv4',
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  endpoints: [{ addresses: ['10.1.0.1'] }, { addresses: ['10.1.0.2'] }],
};
const COUNTED = { services: 1, endpoints: 2, affinityServices: 1, schedulers: true } as const;

/** Whether a Service with this scheduler needs IPVS. */
function scheduled(name: string): boolean | undefined {
  const object = service({ scheduler: { name, flags: [] } });
  return factsOf([{ kind: 'Service', object }]).schedulers;
}

describe('objects that are read once', () => {
  it('come from a cluster, Nodes among them', async () => {
    await using server = await startApiServer();
    server.apply(SERVICE);
    server.apply(SLICE);
    server.load('Node', [makeNode('a', '192.0.2.1'), makeNode('b', '192.0.2.2')]);
    using client = new Transport(anonymousAccess(server.url, {}), SYSTEM_CLOCK);
    const { items, problems } = await readCluster(client, new AbortController().signal);
    assert.deepEqual(problems, []);
    assert.deepEqual(factsOf(items), { ...COUNTED, nodes: 2 });
    assert.deepEqual([...new Set(server.requests.map(({ method }) => method))], ['GET']);
    assert.deepEqual(server.watches, []);
  });

  it('come from manifests, with what is wrong in them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-advise-'));
    try {
      await writeFile(join(folder, 'web.json'), JSON.stringify(SERVICE));
      await writeFile(join(folder, 'slice.json'), JSON.stringify(SLICE));
      await writeFile(join(folder, 'broken.yaml'), 'kind: [');
      const { items, problems } = await readManifests(folder);
      assert.deepEqual(factsOf(items), COUNTED);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', /broken\.yaml:1: /);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('ask for no scheduler that only IPVS has with rr and wrr', () => {
    assert.deepEqual(['rr', 'wrr', 'lc', 'mh'].map(scheduled), [false, false, true, true]);
  });
});
