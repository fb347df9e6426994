/** Following the API, with a server that is told what to have and time that stands still. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeError } from '../../../src/kube/errors.ts';
import type { ApiAnswer, ApiClient, ApiRequest } from '../../../src/kube/transport.ts';
import { openApi } from '../../../src/agent/api-source.ts';
import { FakeClock, turns } from './fakes.ts';

/** Address of the Node that a list has; without one, there is no Node. */
class FixedApi implements ApiClient {
  readonly server = 'https://api.test:6443';
  readonly #address: string | undefined;

  constructor(address?: string) {
    this.#address = address;
  }

  async request({ path, signal }: ApiRequest): Promise<ApiAnswer> {
    const isWatch = path.includes('watch=1');
    const read = async (onChunk: (chunk: Buffer) => void): Promise<void> => {
      if (!isWatch) onChunk(Buffer.from(this.#list(path)));
      else {
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener('abort', () => reject(signal.reason));
        await promise;
      }
    };
    return Promise.resolve({ status: 200, format: 'json', read });
  }

  #list(path: string): string {
    const [, kind] = [
      ['/services?', 'Service'],
      ['/endpointslices?', 'EndpointSlice'],
      ['/servicecidrs?', 'ServiceCIDR'],
    ].find(([part = '']) => path.includes(part)) ?? ['', 'Node'];
    const item = {
      metadata: { name: 'n1', resourceVersion: '5' },
      status: { addresses: [{ type: 'InternalIP', address: this.#address }] },
    };
    const items = kind === 'Node' && this.#address !== undefined ? [item] : [];
    return JSON.stringify({ kind: `${kind}List`, metadata: { resourceVersion: '7' }, items });
  }
}

/** Follows an API and tells what was told. */
function follow(client: ApiClient) {
  const clock = new FakeClock();
  const told: string[] = [];
  const source = openApi(
    {
      client,
      nodeName: 'n1',
      format: 'json',
      watchList: false,
      clock,
      random: () => 0,
      events: {
        onSynced: (resource) => told.push(`synced ${resource}`),
        onProblem: ({ message }) => assert.fail(message),
        onTrouble: (resource: string, { code }: KubeError) => told.push(`${resource} ${code}`),
        onRecovered: () => undefined,
        onNodeAwaited: (ms) => told.push(`waiting ${ms} ms for the Node`),
        onNodeMissing: (ms) => told.push(`no Node after ${ms} ms`),
      },
    },
    () => undefined,
  );
  let isSynced = false;
  void source.synced.then(() => (isSynced = true));
  return { clock, told, source, isSynced: () => isSynced };
}

const SYNCED = ['Services', 'EndpointSlices', 'ServiceCIDRs', 'the Node n1'];

test('it is complete when there is a Node with an address', async () => {
  const { source, told, isSynced, clock } = follow(new FixedApi('192.0.2.1'));
  await using _source = source;
  await clock.pass(0);
  assert.equal(isSynced(), true);
  assert.deepEqual(told.toSorted(), SYNCED.map((name) => `synced ${name}`).toSorted());
  await clock.pass(60_000);
  assert.equal(told.length, 4);
});

test('a Node that does not come is waited for 30 s, and told of once', async () => {
  const { source, told, isSynced, clock } = follow(new FixedApi());
  await using _source = source;
  await clock.pass(29_999);
  assert.deepEqual(told.slice(4), ['waiting 30000 ms for the Node']);
  assert.equal(isSynced(), false);
  await clock.pass(1);
  assert.deepEqual(told.slice(5), ['no Node after 30000 ms']);
  assert.equal(isSynced(), true);
  await clock.pass(60_000);
  assert.equal(told.length, 6);
});

test('closing ends the wait for the Node', async () => {
  const { source, told, isSynced, clock } = follow(new FixedApi());
  await clock.pass(1000);
  await source[Symbol.asyncDispose]();
  await turns();
  assert.equal(isSynced(), true);
  await clock.pass(60_000);
  assert.equal(told.length, 5);
});
