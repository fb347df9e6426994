/** The client against the stand-in API server, over TLS, in both formats and both ways to get the first objects. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { EndpointSliceItem } from '../../src/core/change.ts';
import type { EndpointSlice } from '../../src/core/model.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { KubeError } from '../../src/kube/errors.ts';
import { kubeconfigAccess } from '../../src/kube/kubeconfig.ts';
import { Reflector } from '../../src/kube/reflector.ts';
import { ENDPOINT_SLICES } from '../../src/kube/resources.ts';
import { Transport } from '../../src/kube/transport.ts';
import type { WireFormat } from '../../src/kube/wire/wire.ts';
import { type ApiServer, type Manifest, startApiServer } from '../../src/testing/api-server.ts';
import { createAuthority } from '../../src/testing/certificates.ts';
import { type Fault, SERVER_ERROR, htmlPage, tooBusy } from '../../src/testing/faults.ts';

/** Time runs this much faster for the client, so that it does not wait long. */
const SPEED = 25;
const clock: Clock = {
  now: () => performance.now() * SPEED,
  after: (ms, run) => {
    const timer = setTimeout(run, ms / SPEED);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** The server itself waits 3 s for a version that it does not have. */
const TIMES = { connectMs: 3000 * SPEED, answerMs: 3500 * SPEED, idleMs: 1000 * SPEED };

const authority = createAuthority();
const { certificate, key } = authority.issue({ commonName: 'api', hosts: ['127.0.0.1'] });
const tls = { certificate, key, authority: authority.certificate };

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-kube-'));
});
after(async () => rm(folder, { recursive: true }));

/** A slice `shop/NAME` with one endpoint. */
function slice(name: string, address = '10.1.0.1', isHeadless = false): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: 'shop',
      labels: {
        'kubernetes.io/service-name': 'web',
        ...(isHeadless && { 'service.kubernetes.io/headless': '' }),
      },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName: 'node-ü' }],
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  };
}
/** The same numbers in every run. */
class Dice {
  #state: number;

  constructor({ format, watchList }: Options) {
    this.#state = format.length * 2 + Number(watchList);
  }

  /** A number from 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  fault(): Fault {
    const faults = Object.values(FAULTS);
    return faults[this.below(faults.length)]?.[0] ?? SERVER_ERROR;
  }
}

interface Options {
  readonly format: WireFormat;
  readonly watchList: boolean;
}

/** A server, a reflector of its slices, and what that told. */
class Pair implements AsyncDisposable {
  readonly server: ApiServer;
  readonly copy = new Map<string, EndpointSlice>();
  readonly troubles: KubeError[] = [];
  /** Objects told, counted. */
  changes = 0;
  recoveries = 0;
  readonly reflector: Reflector<EndpointSliceItem>;
  readonly #transport: Transport;
  #wake: () => void = () => undefined;

  private constructor(server: ApiServer, kubeconfig: string, { format, watchList }: Options) {
    this.server = server;
    const access = kubeconfigAccess([kubeconfig], { env: {}, clock, wallTime: () => 0 });
    this.#transport = new Transport(access, clock, TIMES);
    this.reflector = new Reflector({
      client: this.#transport,
      resource: ENDPOINT_SLICES,
      format,
      watchList,
      clock,
      random: () => 0,
      events: {
        onChanges: (changes) => {
          for (const { type, item } of changes) {
            this.changes++;
            if (type === 'set') this.copy.set(item.object.name, item.object);
            else this.copy.delete(item.object.name);
          }
          this.#wake();
        },
        onProblem: ({ message }) => assert.fail(message),
        onTrouble: (error) => {
          this.troubles.push(error);
          this.#wake();
        },
        onRecovered: () => {
          this.recoveries++;
          this.#wake();
        },
      },
    });
  }

  static async start(
    options: Options,
    prepare: (server: ApiServer) => void = () => undefined,
  ): Promise<Pair> {
    const server = await startApiServer({ tls, token: 'secret' });
    for (let index = 0; index < 12; index++) server.apply(slice(`s${index}`));
    server.apply(slice('headless', '10.1.0.9', true));
    prepare(server);
    const kubeconfig = join(folder, `${server.port}`);
    await writeFile(kubeconfig, server.kubeconfig());
    return new Pair(server, kubeconfig, options);
  }

  get codes(): readonly string[] {
    return this.troubles.map(({ code }) => code);
  }

  get lists(): number {
    return this.server.requests.filter(
      ({ query, status }) =>
        status === 200 && (query.get('watch') === null || query.has('sendInitialEvents')),
    ).length;
  }

  /** Waits until something is so; it is asked again whenever the reflector has told something. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Waits until the copy is what the server has. */
  async agree(): Promise<void> {
    await this.until(() => {
      const there = this.server
        .list('EndpointSlice')
        .filter((object) => !JSON.stringify(object).includes('/headless'));
      if (there.length !== this.copy.size) return false;
      return there.every((object) => {
        const { metadata, endpoints } = object as unknown as {
          readonly metadata: { readonly name: string };
          readonly endpoints: readonly { readonly addresses: readonly string[] }[];
        };
        const copied = this.copy.get(metadata.name)?.endpoints[0]?.address;
        return copied === endpoints[0]?.addresses[0];
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reflector.close();
    this.#transport.close();
    await this.server[Symbol.asyncDispose]();
  }
}

const isWatch = ({ query }: { readonly query: URLSearchParams }): boolean =>
  query.get('watch') !== null && !query.has('sendInitialEvents');
const isInitial = (request: { readonly query: URLSearchParams }): boolean => !isWatch(request);

const WAYS: readonly Options[] = [
  { format: 'json', watchList: true },
  { format: 'json', watchList: false },
  { format: 'protobuf', watchList: true },
  { format: 'protobuf', watchList: false },
];

const FAULTS: Readonly<Record<string, readonly [Fault, string]>> = {
  'a fault of the server': [SERVER_ERROR, 'SY_KUBE_SERVER'],
  'a server that is too busy': [tooBusy(1), 'SY_KUBE_THROTTLED'],
  'a web page': [htmlPage(200), 'SY_KUBE_NOT_KUBERNETES'],
  'a web page that says 503': [htmlPage(503), 'SY_KUBE_SERVER'],
  'a broken connection': [{ kind: 'reset' }, 'SY_KUBE_DROPPED'],
};

for (const options of WAYS) {
  describe(`${options.format} through a ${options.watchList ? 'watch-list' : 'list'}`, () => {
    it('follows what is created, changed, hidden by a label, and deleted', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      assert.equal(pair.copy.size, 12);
      assert.equal(pair.copy.get('s3')?.endpoints[0]?.nodeName, 'node-ü');
      pair.server.apply(slice('new'));
      pair.server.apply(slice('s1', '10.1.0.2'));
      pair.server.apply(slice('s2', '10.1.0.2', true));
      pair.server.delete('EndpointSlice', 'shop', 's3');
      await pair.until(() => pair.changes === 16);
      await pair.agree();
      assert.deepEqual(pair.codes, []);
      assert.equal(pair.lists, 1);
    });

    it('goes on where it was after every connection broke, and lists nothing', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      for (let round = 1; round <= 3; round++) {
        await pair.server.refuseConnections();
        pair.server.apply(slice('s1', `10.1.1.${round}`));
        pair.server.delete('EndpointSlice', 'shop', `s${round + 1}`);
        await pair.until(() => pair.codes.includes('SY_KUBE_UNREACHABLE'));
        await pair.server.acceptConnections();
        await pair.agree();
        await pair.until(() => pair.recoveries === round);
      }
      assert.equal(pair.changes, 12 + 6);
      assert.equal(pair.lists, 1);
    });

    it('lists again when the history is gone, keeps what there is, and tells differences only', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      await pair.server.refuseConnections();
      pair.server.apply(slice('s1', '10.1.1.1'));
      pair.server.delete('EndpointSlice', 'shop', 's2');
      pair.server.compact();
      await pair.server.acceptConnections();
      await pair.agree();
      assert.ok(pair.codes.includes('SY_KUBE_EXPIRED'));
      assert.equal(pair.changes, 14);
      assert.equal(pair.lists, 2);
    });

    for (const [name, [fault, code]] of Object.entries(FAULTS)) {
      it(`gets over ${name} in the first list`, async () => {
        await using pair = await Pair.start(options, (server) => {
          server.faults.add(isInitial, fault, 2);
        });
        await pair.reflector.synced;
        await pair.agree();
        assert.deepEqual(pair.codes, [code]);
        assert.match(
          pair.troubles[0]?.message ?? '',
          new RegExp(`^Cannot (list|watch) EndpointSlices at ${pair.server.url}: `),
        );
        assert.equal(pair.changes, 12);
      });

      it(`gets over ${name} in a later list, with everything in force`, async () => {
        await using pair = await Pair.start(options);
        await pair.reflector.synced;
        pair.server.faults.add(isInitial, fault, 2);
        await pair.server.refuseConnections();
        pair.server.apply(slice('s1', '10.1.1.1'));
        pair.server.compact();
        await pair.server.acceptConnections();
        await pair.agree();
        assert.equal(pair.changes, 13);
        assert.ok(pair.codes.includes(code));
      });
    }

    it('does not believe a list that is empty by error', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      pair.server.faults.add(isInitial, { kind: 'emptyList' });
      await pair.server.refuseConnections();
      pair.server.apply(slice('s1', '10.1.1.1'));
      pair.server.compact();
      await pair.server.acceptConnections();
      await pair.agree();
      assert.equal(pair.changes, 13);
    });

    for (const [then, code] of [
      ['drop', 'SY_KUBE_DROPPED'],
      ['silence', 'SY_KUBE_SILENT'],
    ] as const) {
      it(`gets over half an event, followed by ${then}`, async () => {
        await using pair = await Pair.start(options);
        await pair.reflector.synced;
        while (!pair.server.watches.some(({ request }) => options.watchList || isWatch(request))) {
          await setImmediate();
        }
        pair.server.watches.at(-1)?.cutNextEvent(then);
        pair.server.apply(slice('s1', '10.1.1.1'));
        await pair.agree();
        assert.deepEqual(pair.codes, [code]);
        assert.equal(pair.changes, 13);
      });
    }

    it('agrees in the end, whatever happened on the way', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      const dice = new Dice(options);
      for (let step = 1; step <= 150; step++) {
        const name = `s${dice.below(20)}`;
        const there = pair.server.get('EndpointSlice', 'shop', name);
        if (there !== undefined && dice.below(3) === 0) {
          pair.server.delete('EndpointSlice', 'shop', name);
        } else pair.server.apply(slice(name, `10.2.${step}.1`, dice.below(8) === 0));
        if (dice.below(10) === 0) pair.server.dropConnections();
        if (dice.below(30) === 0) pair.server.compact();
        if (dice.below(30) === 0) pair.server.faults.add(() => true, dice.fault());
        // Some of it comes together, some does not.
        if (dice.below(3) > 0) await setImmediate();
      }
      pair.server.apply(slice('last'));
      await pair.agree();
    });

    it('says that the token is wrong, and goes on when it is right', async () => {
      await using pair = await Pair.start(options);
      await pair.reflector.synced;
      pair.server.setToken('another');
      pair.server.dropConnections();
      await pair.until(() => pair.codes.includes('SY_KUBE_UNAUTHORIZED'));
      pair.server.apply(slice('s1', '10.1.1.1'));
      pair.server.setToken('secret');
      await pair.agree();
      assert.equal(pair.lists, 1);
    });
  });
}

describe('the first list', () => {
  const faults: Readonly<Record<string, readonly [Fault, string]>> = {
    'half an answer': [{ kind: 'truncate', bytes: 900 }, 'SY_KUBE_DROPPED'],
    'no answer': [{ kind: 'hang' }, 'SY_KUBE_TIMEOUT'],
  };
  for (const [name, [fault, code]] of Object.entries(faults)) {
    it(`is asked for again after ${name}`, async () => {
      const options: Options = { format: 'protobuf', watchList: false };
      await using pair = await Pair.start(options, (server) => {
        server.faults.add(isInitial, fault);
      });
      await pair.reflector.synced;
      assert.deepEqual(pair.codes, [code]);
      assert.equal(pair.changes, 12);
    });
  }
});

it('a restore of etcd to an earlier state is found out, and the state believed', async () => {
  await using pair = await Pair.start({ format: 'protobuf', watchList: true });
  await pair.reflector.synced;
  await pair.server.refuseConnections();
  pair.server.delete('EndpointSlice', 'shop', 's2');
  pair.server.resetRevision(5);
  pair.server.apply(slice('s1', '10.1.1.1'));
  await pair.server.acceptConnections();
  await pair.agree();
  assert.equal(pair.copy.size, 11);
  pair.server.apply(slice('s1', '10.1.1.2'));
  await pair.agree();
});

describe('a long list', () => {
  it('comes in pages, and starts again when its token expires', async () => {
    const server = await startApiServer({ tls, token: 'secret' });
    await using _server = server;
    for (let index = 0; index < 1100; index++) server.apply(slice(`s${index}`));
    const kubeconfig = join(folder, 'pages');
    await writeFile(kubeconfig, server.kubeconfig());
    const access = kubeconfigAccess([kubeconfig], { env: {}, clock, wallTime: () => 0 });
    using transport = new Transport(access, clock);
    const told: number[] = [];
    const codes: string[] = [];
    const expired: Fault = {
      kind: 'answer',
      status: 410,
      headers: { 'content-type': 'application/json' },
      body: '{"kind":"Status","reason":"Expired","code":410,"message":"too old"}',
    };
    // From the cache all objects come at once; the pages are those of a list that is read from etcd.
    server.faults.add(isInitial, expired);
    server.faults.add(({ query }) => query.has('continue'), expired);
    await using reflector = new Reflector({
      client: transport,
      resource: ENDPOINT_SLICES,
      format: 'protobuf',
      watchList: false,
      clock,
      random: () => 0,
      events: {
        onChanges: (changes) => told.push(changes.length),
        onProblem: ({ message }) => assert.fail(message),
        onTrouble: ({ code }) => codes.push(code),
        onRecovered: () => undefined,
      },
    });
    await reflector.synced;
    assert.deepEqual(told, [1100]);
    assert.deepEqual(codes, ['SY_KUBE_EXPIRED']);
    const pages = server.requests.filter((request) => isInitial(request) && request.status === 200);
    assert.ok(pages.length >= 4, `${pages.length} pages`);
  });
});
