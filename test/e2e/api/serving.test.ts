/** The proxy against an API server that works: what the API says is in the kernel, and the ports tell of it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ask, isRefused } from '../../unit/agent/http/client.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { endpoints, frontends } from '../lab/ruleset.ts';
import { Cluster, ip, setUpNode, settled } from './cluster.ts';
import { NODE_IP, node, service, slice } from './objects.ts';

const programmed = /\] "Programmed" /;
const serving = /\] "Serving" /;
const JSON_TYPE = 'application/json';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const HEALTH = 10_256;
const METRICS = 10_249;

/** Status of the health port. */
async function health(path = '/healthz'): Promise<number> {
  return (await ask({ port: HEALTH, path })).status;
}

/** Body of the metrics port. */
async function page(path: string): Promise<string> {
  const { status, body } = await ask({ port: METRICS, path });
  assert.equal(status, 200, path);
  return body;
}

/** What makes an endpoint one for clients of its own zone. */
function near(zone: string) {
  return { zone, hints: { forZones: [{ name: zone }] } };
}

inNamespace(import.meta.filename, () => {
  before(setUpNode);

  for (const contentType of [PROTOBUF, JSON_TYPE]) {
    for (const watchList of [true, false]) {
      const how = `${watchList ? 'a watch-list' : 'lists'} of ${contentType}`;
      test(`what the API has is in the kernel, through ${how}`, async () => {
        await using cluster = await Cluster.start();
        const { server } = cluster;
        const proxy = cluster.proxy([
          `--kube-api-content-type=${contentType}`,
          `--feature-gates=WatchListClient=${watchList}`,
        ]);
        const line = await proxy.logged(serving);
        assert.match(line, / services=1 endpoints=2 routes=1 node_ports_on="192\.0\.2\.1" /);
        assert.deepEqual(frontends(cluster), ['10.96.0.1:80']);
        assert.deepEqual(endpoints(cluster, '10.96.0.1:80'), ['10.1.0.1:8080', '10.1.0.2:8080']);
        const lists = cluster.lists;
        assert.deepEqual(lists.length, 4);
        for (const { query } of lists) assert.equal(query.has('sendInitialEvents'), watchList);

        server.apply(slice('web', ['10.1.0.2', '10.1.0.3']));
        assert.match(await proxy.logged(programmed), /how="apply" services="shop\/web" routes=1 /);
        assert.deepEqual(endpoints(cluster, '10.96.0.1:80'), ['10.1.0.2:8080', '10.1.0.3:8080']);
        server.apply(service('web', { port: 81 }));
        await proxy.logged(programmed);
        assert.deepEqual(frontends(cluster), ['10.96.0.1:81']);
        server.apply(service('api', { clusterIP: '10.96.0.2' }));
        await proxy.logged(programmed);
        assert.deepEqual(frontends(cluster), ['10.96.0.1:81', '10.96.0.2:80']);
        const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
        server.apply(service('api', { clusterIP: '10.96.0.2', labels }));
        await proxy.logged(programmed);
        assert.deepEqual(frontends(cluster), ['10.96.0.1:81'], 'another proxy serves it');
        server.delete('EndpointSlice', 'shop', 'web-1');
        await proxy.logged(programmed);
        assert.deepEqual(endpoints(cluster, '10.96.0.1:81'), []);
        server.delete('Service', 'shop', 'web');
        await proxy.logged(programmed);
        assert.deepEqual(frontends(cluster), []);
        assert.equal(cluster.lists.length, 4, 'nothing was listed twice');
        assert.equal(proxy.count(/^[WE]/), 0, proxy.lines.join('\n'));
      });
    }
  }

  test('the Node decides on node ports, zone, local traffic and eligibility', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    ip('address', 'add', '192.0.2.9/24', 'dev', 'lo');
    server.apply(service('web', { nodePort: 30_080 }));
    const proxy = cluster.proxy(['--detect-local-mode=NodeCIDR']);
    await proxy.logged(serving);
    assert.deepEqual(frontends(cluster), ['10.96.0.1:80', `${NODE_IP}:30080`]);
    assert.match(cluster.nft('list', 'ruleset'), /ip saddr != 10\.128\.0\.0\/24/);
    assert.equal(await health(), 200);

    server.apply(node({ addresses: ['192.0.2.9'] }));
    await proxy.logged(programmed);
    assert.deepEqual(frontends(cluster), ['10.96.0.1:80', '192.0.2.9:30080']);
    server.apply(node({ addresses: ['192.0.2.9'], podCIDRs: ['10.129.0.0/24'] }));
    await proxy.logged(programmed);
    const rules = cluster.nft('list', 'ruleset');
    assert.match(rules, /ip saddr != 10\.129\.0\.0\/24/);
    assert.doesNotMatch(rules, /10\.128\.0\.0\/24/);

    const [here, there] = ['10.1.0.1', '10.1.0.2'].map((address) => ({ addresses: [address] }));
    const inZones = [
      { ...here, ...near('zone-a') },
      { ...there, ...near('zone-b') },
    ];
    server.apply({ ...slice('web', []), endpoints: inZones });
    await proxy.logged(programmed);
    assert.deepEqual(endpoints(cluster, '10.96.0.1:80'), ['10.1.0.1:8080']);
    server.apply(node({ zone: 'zone-b' }));
    await proxy.logged(programmed);
    assert.deepEqual(endpoints(cluster, '10.96.0.1:80'), ['10.1.0.2:8080']);

    server.apply(node({ taints: ['ToBeDeletedByClusterAutoscaler'] }));
    await proxy.logged(programmed);
    assert.equal(await health(), 503);
    assert.equal(await health('/livez'), 200);
    const { body } = await ask({ port: HEALTH, path: '/healthz' });
    assert.match(body, /"nodeEligible":false,"healthy":true/);
    assert.deepEqual(frontends(cluster), ['10.96.0.1:80', `${NODE_IP}:30080`]);
    server.apply(node());
    ip('address', 'del', '192.0.2.9/24', 'dev', 'lo');
  });

  test('the ports tell of everything, and an Event says that it started', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const event = server.nextRequest(({ method }) => method === 'POST');
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    assert.equal((await event).status, 201);
    assert.match((await event).path, /^\/apis\/events\.k8s\.io\/v1\/namespaces\/default\/events$/);
    assert.deepEqual([await health(), await health('/livez')], [200, 200]);
    assert.equal(await page('/healthz'), 'ok');
    assert.equal(await page('/proxyMode'), 'nftables');
    assert.match(await page('/flagz'), /^hostname-override=node-1$/m);
    assert.match(await page('/statusz'), /^Emulation version: 1\.36$/m);
    assert.match(await page('/configz'), /"hostnameOverride":"node-1"/);
    const observed = /_network_programming_duration_seconds_count\{ip_family="IPv4"\} 1$/m;
    assert.doesNotMatch(await page('/metrics'), observed);
    server.apply(slice('web', ['10.1.0.3'], { triggeredAt: new Date() }));
    await proxy.logged(programmed);
    assert.match(await page('/metrics'), observed);
    assert.match(await page('/metrics'), /^switchyard_watch_up\{resource="Services"\} 1$/m);
  });

  test('a health-check node port says whether the node has endpoints of the Service', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const port = 30_999;
    const spec = { externalTrafficPolicy: 'Local', healthCheckNodePort: port };
    server.apply(service('web', { nodePort: 30_080, spec }));
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    const state = async (): Promise<readonly [number, unknown]> => {
      const { status, body } = await ask({ host: NODE_IP, port });
      return [status, (JSON.parse(body) as { readonly localEndpoints: unknown }).localEndpoints];
    };
    const isOpen = async (): Promise<boolean> => !(await isRefused(port, NODE_IP));
    assert.ok(await settled(isOpen, (open) => open));
    assert.deepEqual(await state(), [200, 2]);
    server.apply(slice('web', ['10.1.0.1'], { nodeName: 'node-2' }));
    await proxy.logged(programmed);
    assert.deepEqual(await state(), [503, 0]);
    server.apply(slice('web', ['10.1.0.1']));
    await proxy.logged(programmed);
    assert.deepEqual(await state(), [200, 1]);
    server.delete('Service', 'shop', 'web');
    await proxy.logged(programmed);
    assert.ok(!(await settled(isOpen, (open) => !open)));
  });
});
