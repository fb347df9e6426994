/** Made-up clusters, their churn, and the server as a process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { Churn, type ChurnEvent } from '../../../src/testing/churn.ts';
import {
  type ClusterOptions,
  makeEndpointSlices,
  makeServices,
  replaceEndpoint,
} from '../../../src/testing/cluster.ts';
import { type JsonObject, listIn, objectIn, textIn } from '../../../src/testing/json.ts';
import { ask, openWatch, parse } from './client.ts';

const MAIN = join(import.meta.dirname, '../../../src/testing/api-server-main.ts');

const nameOf = (object: JsonObject): string => textIn(objectIn(object, 'metadata'), 'name');
const first = (objects: Iterable<JsonObject>): JsonObject => {
  for (const object of objects) return object;
  throw new Error('there are no objects');
};

describe('a made-up cluster', () => {
  it('has Services and slices that fit each other and are as large as real ones', () => {
    const services = [...makeServices({ services: 300 })];
    const slices = [...makeEndpointSlices({ services: 300 })];
    assert.equal(
      new Set(services.map((service) => textIn(objectIn(service, 'spec'), 'clusterIP'))).size,
      300,
    );
    const addresses = slices.flatMap((slice) =>
      listIn(slice, 'endpoints').map((endpoint) =>
        JSON.stringify(objectIn({ endpoint }, 'endpoint')['addresses']),
      ),
    );
    assert.equal(new Set(addresses).size, 3000);
    for (const [index, slice] of slices.entries()) {
      const labels = objectIn(objectIn(slice, 'metadata'), 'labels');
      assert.equal(labels['kubernetes.io/service-name'], nameOf(services[index] ?? {}));
    }
    const size = JSON.stringify(slices[7]).length;
    assert.ok(size > 3000 && size < 5000, String(size));
  });

  it('takes addresses from those who have a place for them', () => {
    const options: ClusterOptions = {
      services: 2,
      endpoints: 3,
      clusterIp: (service) => `10.1.0.${service}`,
      endpointAddress: (service, endpoint) => `10.2.${service}.${endpoint}`,
    };
    const [, service] = makeServices(options);
    assert.equal(objectIn(service ?? {}, 'spec')['clusterIP'], '10.1.0.1');
    const [, slice] = makeEndpointSlices(options);
    assert.match(JSON.stringify(slice), /"10\.2\.1\.0".*"10\.2\.1\.1".*"10\.2\.1\.2"/);
    const many = makeEndpointSlices({ services: 1, endpoints: 101 });
    assert.throws(() => first(many), { code: 'SY_TESTING_BAD_OPTION' });
  });

  it('replaces one endpoint and leaves the others', () => {
    const slice = first(makeEndpointSlices({ services: 1, endpoints: 3 }));
    const changed = replaceEndpoint(slice, 1, '10.9.9.9');
    const before = listIn(slice, 'endpoints');
    const after = listIn(changed, 'endpoints');
    assert.deepEqual([after[0], after[2]], [before[0], before[2]]);
    assert.match(JSON.stringify(after[1]), /10\.9\.9\.9/);
    assert.notDeepEqual(after[1], before[1]);
  });

  it('changes slice by slice, as the watches see', async () => {
    await using server = await startApiServer();
    server.load('EndpointSlice', makeEndpointSlices({ services: 2, endpoints: 2 }));
    const path = `/apis/discovery.k8s.io/v1/endpointslices?watch=1&resourceVersion=${server.revision}`;
    using stream = await openWatch(server, path);
    const made: ChurnEvent[] = [];
    using churn = new Churn(server, (event) => made.push(event));
    for (let count = 0; count < 3; count++) churn.change();
    assert.equal(new Set(made.map(({ slice }) => slice)).size, 2);
    for (const { address, resourceVersion } of made) {
      const { type, object } = await stream.event();
      assert.equal(type, 'MODIFIED');
      assert.equal(objectIn(object, 'metadata')['resourceVersion'], resourceVersion);
      assert.match(JSON.stringify(object), new RegExp(address));
    }
    assert.equal(new Set(made.map(({ address }) => address)).size, 3);
  });
});

describe('the server as a process', () => {
  it('listens, obeys, and ends', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-api-server-'));
    try {
      const kubeconfig = join(folder, 'kubeconfig');
      const options = ['--services', '50', '--tls', '--token', 'x', '--kubeconfig', kubeconfig];
      const child = spawn(
        process.execPath,
        [MAIN, ...options, '--warm', 'protobuf', '--report-changes'],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
        },
      );
      const exited = once(child, 'exit');
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const heard = async (): Promise<JsonObject> => {
        const line = await lines.next();
        return parse(line.done === true ? '' : line.value);
      };
      const listening = await heard();
      assert.equal(listening['event'], 'listening');
      assert.equal((await stat(kubeconfig)).mode & 0o777, 0o600);
      const config = parse(await readFile(kubeconfig, 'utf8'));
      const [entry] = listIn(config, 'clusters');
      const cluster = objectIn(parse(JSON.stringify(entry)), 'cluster');
      const ca = Buffer.from(textIn(cluster, 'certificate-authority-data'), 'base64').toString();
      const headers = { authorization: 'Bearer x' };
      const reply = await ask(`${textIn(listening, 'url')}/api/v1/services`, { ca, headers });
      assert.equal(listIn(parse(reply.text), 'items').length, 50);
      child.stdin.write('change 2\n');
      const [one, two, done] = [await heard(), await heard(), await heard()];
      assert.deepEqual([one['event'], two['event'], done['event']], ['changed', 'changed', 'done']);
      assert.equal(done['revision'], Number(listening['revision']) + 2);
      child.stdin.write('churn 200\n');
      while ((await heard())['event'] !== 'changed');
      child.stdin.write('dance\nchurn x\nquit\n');
      const refusals: string[] = [];
      for await (const line of lines) {
        const { event, message } = parse(line);
        if (event === 'refused' && typeof message === 'string') refusals.push(message);
      }
      assert.equal(refusals.length, 2);
      assert.match(refusals[0] ?? '', /^There is no command "dance"/);
      assert.match(refusals[1] ?? '', /^churn cannot be "x"/);
      assert.deepEqual(await exited, [0, null]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
