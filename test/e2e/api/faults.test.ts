/** An API server, or a way to it, that fails while the proxy serves: one report, nothing emptied, and healed. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import { type Fault, SERVER_ERROR, htmlPage, tooBusy } from '../../../src/testing/faults.ts';
import { expired } from '../../../src/testing/status.ts';
import type { RequestRecord } from '../../../src/testing/request.ts';
import type { Watch } from '../../../src/testing/watch.ts';
import { ask } from '../../unit/agent/http/client.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import type { ProxyProcess } from '../lab/proxy-process.ts';
import { endpoints, frontends } from '../lab/ruleset.ts';
import { Cluster, certificateOf, isList, setUpNode, settled } from './cluster.ts';
import { NODE_NAME, node, service, slice } from './objects.ts';

const programmed = /\] "Programmed" /;
const serving = /\] "Serving" /;
const trouble = /^W.* api\] "Cannot follow the API; what is programmed stays" /;
const reachable = /^I.* api\] "The API server can be reached again"$/;
const again = /^I.* api\] "Following the API again" resource="EndpointSlices"$/;
const WEB = '10.96.0.1:80';

const isWatch = ({ query }: RequestRecord): boolean => !isList(query);
const isServices = ({ path }: RequestRecord): boolean => path === '/api/v1/services';
const isListOfServices = (request: RequestRecord): boolean =>
  isServices(request) && !isWatch(request);
const isListOfSlices = (request: RequestRecord): boolean =>
  request.path.endsWith('/endpointslices') && !isWatch(request);

/** Status of the health port. */
async function health(): Promise<number> {
  return (await ask({ port: 10_256, path: '/healthz' })).status;
}

/** Codes of the troubles that were told, in order. */
function codes({ lines }: ProxyProcess): readonly string[] {
  return lines
    .filter((line) => trouble.test(line))
    .map((line) => /err="SY_KUBE_(\w+):/.exec(line)?.[1] ?? line);
}

/** The open watch of EndpointSlices. */
async function slicesWatch({ server }: Cluster): Promise<Watch> {
  const find = (): Watch | undefined =>
    server.watches.find(({ request }) => request.path.endsWith('/endpointslices'));
  const watch = await settled(
    async () => Promise.resolve(find()),
    (found) => found !== undefined,
  );
  assert.ok(watch);
  return watch;
}

/** Changes the endpoint of the Service, and waits until the kernel has it. */
async function changeEndpoint(cluster: Cluster, proxy: ProxyProcess, to: string): Promise<void> {
  cluster.server.apply(slice('web', [to]));
  await proxy.logged(programmed);
  assert.deepEqual(endpoints(cluster, WEB), [`${to}:8080`]);
}

/** The proxy serves, is well, and has ended nothing. */
async function assertServes(cluster: Cluster): Promise<void> {
  assert.ok(frontends(cluster).includes(WEB));
  assert.equal(await health(), 200);
}

inNamespace(import.meta.filename, () => {
  before(setUpNode);

  test('an API server that is away: one report, everything goes on, and no list when it is back', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    server.apply(service('api', { clusterIP: '10.96.0.2' }));
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    const rules = cluster.nft('list', 'ruleset');
    await server.refuseConnections();
    await proxy.logged(/UNREACHABLE/);
    for (let round = 0; round < 50; round++) server.apply(slice('web', [`10.1.1.${round}`]));
    server.apply(service('new', { clusterIP: '10.96.0.3' }));
    server.delete('Service', 'shop', 'api');
    assert.equal(cluster.nft('list', 'ruleset'), rules);
    await assertServes(cluster);
    await server.acceptConnections();
    await proxy.told(reachable);
    assert.deepEqual(
      await settled(
        async () => Promise.resolve(frontends(cluster)),
        (all) => !all.includes('10.96.0.2:80'),
      ),
      [WEB, '10.96.0.3:80'],
    );
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.49:8080']);
    assert.deepEqual(codes(proxy), ['DROPPED', 'UNREACHABLE']);
    assert.equal(cluster.lists.length, 4);
    assert.ok(proxy.count(programmed) <= 5, 'what came together is programmed together');
    assert.equal(proxy.count(/^[WE]/), 2);
  });

  const ways: Readonly<Record<string, readonly [Fault, string, RegExp]>> = {
    'a fault of the server': [SERVER_ERROR, 'SERVER', /etcdserver: leader changed/],
    'a server that is too busy': [tooBusy(1), 'THROTTLED', /retry_ms=1\d\d\d$/],
    'a web page': [htmlPage(200), 'NOT_KUBERNETES', /a web page/],
    'a broken connection': [{ kind: 'reset' }, 'DROPPED', /the connection/],
  };
  for (const [name, [fault, code, text]] of Object.entries(ways)) {
    test(`${name} in place of every watch is told once`, async () => {
      await using cluster = await Cluster.start();
      const proxy = cluster.proxy();
      await proxy.logged(serving);
      // A connection that breaks while it is used again is tried once more in silence.
      cluster.server.faults.add(isWatch, fault, fault.kind === 'reset' ? 8 : 4);
      for (const watch of cluster.server.watches) watch.end();
      assert.match(await proxy.logged(trouble), text);
      await assertServes(cluster);
      await proxy.told(reachable);
      await changeEndpoint(cluster, proxy, '10.1.1.1');
      assert.deepEqual(codes(proxy), [code]);
      assert.equal(cluster.lists.length, 4);
      assert.equal(proxy.count(reachable), 1);
    });
  }

  test('a version that is gone leads to one list of each collection', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    for (const watch of server.watches) watch.end();
    server.apply(slice('web', ['10.1.1.1']));
    server.compact();
    await proxy.logged(programmed);
    await proxy.told(reachable);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.1:8080']);
    assert.equal(cluster.lists.length, 8);
    assert.deepEqual(codes(proxy), ['EXPIRED']);
  });

  test('a list that is empty by error empties nothing', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const proxy = cluster.proxy(['--feature-gates=WatchListClient=false']);
    await proxy.logged(serving);
    for (const isListOf of [isListOfServices, isListOfSlices]) {
      server.faults.add(isListOf, { kind: 'emptyList' });
    }
    for (const watch of server.watches) {
      watch.sendError(expired('too old'));
      watch.end();
    }
    server.apply(slice('web', ['10.1.1.1']));
    await proxy.told(/SY_KUBE_EMPTY: Cannot list Services /);
    await proxy.told(/SY_KUBE_EMPTY: Cannot list EndpointSlices /);
    assert.ok(frontends(cluster).includes(WEB));
    await proxy.logged(programmed);
    await assertServes(cluster);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.1:8080']);
    assert.equal(proxy.count(programmed), 2, 'nothing was taken away on the way');
    assert.deepEqual(codes(proxy).toSorted(), ['EMPTY', 'EMPTY', 'EXPIRED']);
  });

  test('pages whose token expires are asked for anew', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    for (let index = 0; index < 600; index++) {
      const clusterIP = `10.97.${index >> 8}.${index & 255}`;
      server.apply(service(`s${index}`, { clusterIP }));
    }
    const gone: Fault = { kind: 'refuse', error: expired('too old') };
    // From the cache all objects come at once; the pages are those of a list that is read from etcd.
    server.faults.add(isListOfServices, gone);
    server.faults.add(({ query }) => query.has('continue'), gone);
    const proxy = cluster.proxy(['--feature-gates=WatchListClient=false']);
    assert.match(await proxy.logged(serving), / services=601 /);
    assert.deepEqual(codes(proxy), ['EXPIRED']);
    assert.ok(server.requests.some(({ query, status }) => query.has('continue') && status === 200));
  });

  const streams: Readonly<Record<string, readonly [string, string | Buffer, RegExp]>> = {
    'a line that is cut off': ['MALFORMED', '{"type":"MODIFIED","object":{"kin\n', /is no JSON/],
    'a line of 50 MB': ['TOO_LARGE', Buffer.alloc(50_000_000, 'x'), /more than 8 MiB/],
  };
  for (const [name, [code, bytes, text]] of Object.entries(streams)) {
    test(`${name} is told once and leads to a list`, async () => {
      await using cluster = await Cluster.start();
      const proxy = cluster.proxy(['--kube-api-content-type=application/json']);
      await proxy.logged(serving);
      (await slicesWatch(cluster)).send(bytes);
      const line = await proxy.logged(trouble);
      assert.match(line, text);
      assert.match(line, / resource="EndpointSlices" /);
      await assertServes(cluster);
      await proxy.told(again);
      await changeEndpoint(cluster, proxy, '10.1.1.1');
      assert.deepEqual(codes(proxy), [code]);
      assert.equal(cluster.lists.length, 5);
    });
  }

  test('events that cannot be true change nothing, and an old version leads to a list', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    const watch = await slicesWatch(cluster);
    watch.sendEvent('DELETED', slice('unknown', ['10.1.0.9']), server.revision);
    await changeEndpoint(cluster, proxy, '10.1.1.1');
    assert.deepEqual(codes(proxy), []);
    watch.sendEvent('MODIFIED', slice('web', ['10.1.9.9']), 1);
    assert.match(await proxy.logged(trouble), /SY_KUBE_BACKWARDS.*as if etcd had been restored/);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.1:8080']);
    await proxy.told(reachable);
    await changeEndpoint(cluster, proxy, '10.1.1.2');
    assert.deepEqual(codes(proxy), ['BACKWARDS']);
    assert.equal(cluster.lists.length, 5);
  });

  test('half an event and then silence stops this collection only, until the connection breaks', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    (await slicesWatch(cluster)).cutNextEvent('silence');
    server.apply(slice('web', ['10.1.1.1']));
    server.apply(service('api', { clusterIP: '10.96.0.2' }));
    await proxy.logged(programmed);
    assert.deepEqual(frontends(cluster), [WEB, '10.96.0.2:80']);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.0.1:8080', '10.1.0.2:8080']);
    server.dropConnections();
    await proxy.logged(programmed);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.1:8080']);
    await proxy.told(reachable);
    assert.deepEqual(codes(proxy), ['DROPPED']);
    assert.equal(cluster.lists.length, 4);
  });

  test('a proxy that was too slow to read is cut off, and catches up', async () => {
    await using cluster = await Cluster.start({ slowReaderMs: 200 });
    const { server } = cluster;
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    const watch = await slicesWatch(cluster);
    proxy.kill('SIGSTOP');
    const many = Array.from({ length: 1000 }, (_, index) => `10.2.${index >> 8}.${index & 255}`);
    for (let round = 0; round < 300; round++)
      server.apply(slice('web', [...many, `10.3.0.${round % 256}`]));
    server.apply(slice('web', ['10.1.1.1']));
    assert.ok(await settled(async () => Promise.resolve(!server.watches.includes(watch)), Boolean));
    proxy.kill('SIGCONT');
    const now = await settled(
      async () => Promise.resolve(endpoints(cluster, WEB)),
      (all) => all.length === 1,
    );
    assert.deepEqual(now, ['10.1.1.1:8080']);
    assert.equal(proxy.count(trouble), new Set(codes(proxy)).size);
    assert.equal(proxy.count(/^E/), 0);
  });

  test('a token that is refused is told once; the right one in its file is used', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const config = JSON.parse(server.kubeconfig()) as { readonly users: unknown };
    const tokenFile = cluster.write('token', 'secret');
    const users = [{ name: 'user', user: { tokenFile } }];
    cluster.write('kubeconfig', JSON.stringify({ ...config, users }));
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    server.setToken('another');
    for (const watch of server.watches) watch.end();
    assert.match(await proxy.logged(trouble), /UNAUTHORIZED.*Check the token/);
    server.apply(slice('web', ['10.1.1.1']));
    await assertServes(cluster);
    cluster.write('token', 'another');
    await proxy.logged(programmed);
    assert.deepEqual(endpoints(cluster, WEB), ['10.1.1.1:8080']);
    await proxy.told(reachable);
    assert.deepEqual(codes(proxy), ['UNAUTHORIZED']);
    assert.ok(!proxy.lines.some((line) => line.includes('secret')), 'no token is logged');
  });

  const certificates = {
    'an expired certificate': [
      certificateOf(undefined, new Date(Date.now() - 60_000)),
      /has expired.*Renew/,
    ],
    'a certificate of somebody else': [
      certificateOf(createAuthority('another-ca')),
      /nobody we trust.*certificate-authority/,
    ],
  } as const;
  for (const [name, [tls, text]] of Object.entries(certificates)) {
    test(`${name} at the start: the rules of the last proxy stay until it is right`, async () => {
      await using cluster = await Cluster.start();
      const { server } = cluster;
      const first = cluster.proxy();
      await first.logged(serving);
      first.kill('SIGKILL');
      await first.ended;
      const rules = cluster.nft('list', 'ruleset');
      await server.refuseConnections();
      await using wrong = await startApiServer({ tls, token: 'secret', port: server.port });
      const proxy = cluster.proxy();
      assert.match(await proxy.logged(trouble), text);
      await wrong[Symbol.asyncDispose]();
      assert.equal(cluster.nft('list', 'ruleset'), rules);
      assert.equal(await health(), 503);
      await server.acceptConnections();
      await proxy.logged(serving);
      assert.equal(codes(proxy)[0], 'TLS');
      assert.equal(new Set(codes(proxy)).size, codes(proxy).length);
      await assertServes(cluster);
    });
  }

  test('a host that nobody knows is told once, and the rules of the last proxy stay', async () => {
    await using cluster = await Cluster.start();
    const first = cluster.proxy();
    await first.logged(serving);
    first.kill('SIGKILL');
    await first.ended;
    const proxy = cluster.proxy(['--master=https://api.invalid:6443']);
    assert.match(await proxy.logged(trouble), /SY_KUBE_UNKNOWN_HOST: .*api\.invalid.*DNS/);
    await cluster.server[Symbol.asyncDispose]();
    assert.deepEqual(frontends(cluster), [WEB]);
    assert.deepEqual(codes(proxy), ['UNKNOWN_HOST']);
    const asked = performance.now();
    proxy.kill('SIGTERM');
    assert.deepEqual(await proxy.ended, { code: 0, signal: null });
    assert.ok(performance.now() - asked < 1000);
  });

  test('a role that does not allow ServiceCIDRs is told once, and everything else is served', async () => {
    await using cluster = await Cluster.start();
    const body =
      '{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}';
    cluster.server.faults.add(
      ({ path }) => path.endsWith('/servicecidrs'),
      { kind: 'answer', status: 403, headers: { 'content-type': 'application/json' }, body },
      1000,
    );
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    await changeEndpoint(cluster, proxy, '10.1.1.1');
    assert.deepEqual(codes(proxy), ['FORBIDDEN']);
    assert.equal(proxy.count(/resource="ServiceCIDRs".*system:node-proxier/), 1);
  });

  test('a Node that is not there yet is waited for; one that goes or loses its addresses counts as before', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    server.delete('Node', '', NODE_NAME);
    server.apply(service('web', { nodePort: 30_080 }));
    const proxy = cluster.proxy();
    await server.nextRequest(({ path }) => path === '/api/v1/nodes');
    server.apply(node({ addresses: [] }));
    server.apply(node());
    await proxy.logged(serving);
    assert.equal(proxy.count(/^[WE]/), 0, 'what is waited for is no trouble yet');
    const served = frontends(cluster);
    assert.deepEqual(served, [WEB, '192.0.2.1:30080']);
    server.apply(node({ addresses: [] }));
    await proxy.logged(
      /^W.* agent\] "The Node node-1 has neither InternalIP nor ExternalIP: what it said before/,
    );
    assert.deepEqual(frontends(cluster), served);
    server.delete('Node', '', NODE_NAME);
    await proxy.logged(
      /^W.* agent\] "The Node node-1 was deleted: what it said before goes on counting"/,
    );
    assert.deepEqual(frontends(cluster), served);
    assert.equal(await health(), 503);
    server.apply(node());
    assert.equal(await settled(health, (code) => code === 200), 200);
    assert.equal(proxy.count(/The Node node-1 was deleted/), 1);
  });
});
