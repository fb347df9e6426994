/** nf_tables through NftBatch and NftSocket on the real kernel, beside what nft makes of the same. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { NftBatch } from '../../../src/kernel/nftables/batch.ts';
import { setShape } from '../../../src/kernel/nftables/set-types.ts';
import { fixtureText } from '../../fixtures/netlink/hex.ts';
import { addSampleRules, addSampleSets } from '../../fixtures/netlink/sample-rulesets.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import {
  commit,
  flushRuleset,
  isFullRoot,
  kernelError,
  listRuleset,
  loadRuleset,
  withNft,
} from './helpers.ts';

const T = 'switchyard';

/** Key of the map `endpoints`: 10.96.x.x . tcp . 80 . slot. */
function slotKey(service: number, slot: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(0x0a60_0000 + service, 0);
  key.writeUInt32LE(6, 4);
  key.writeUInt16BE(80, 8);
  key.writeUInt32LE(slot, 12);
  return key;
}

function destination(index: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeUInt32BE(0x0a80_0000 + index, 0);
  data.writeUInt16BE(8080, 4);
  return data;
}

function addEndpoints(batch: NftBatch): void {
  batch.addTable('IPv4', T);
  batch.addSet('IPv4', T, {
    name: 'endpoints',
    key: ['ipv4_addr', 'inet_proto', 'inet_service', 'numgen'],
    data: ['ipv4_addr', 'inet_service'],
  });
}

inNamespace(import.meta.filename, () => {
  afterEach(flushRuleset);

  describe('What is committed is listed by nft', () => {
    for (const [name, add] of [
      ['sets.nft', addSampleSets],
      ['rules.nft', addSampleRules],
    ] as const) {
      const title = `as the text of ${name}, and can be read back by nft`;
      test(
        title,
        withNft((socket) => {
          const text = fixtureText(name);
          commit(socket, add);
          assert.equal(listRuleset(), text);
          flushRuleset();
          loadRuleset(text);
          assert.equal(listRuleset(), text);
        }),
      );
    }

    test(
      'elements of every kind, and round-trips',
      withNft((socket) => {
        commit(socket, (batch) => {
          addSampleSets(batch);
          batch.addChain('IPv4', T, { name: 'c' });
          batch.addElement('IPv4', T, 'endpoints', slotKey(1, 9), { data: destination(5) });
          const service = slotKey(1, 0).subarray(0, 12);
          batch.addElement('IPv4', T, 'service-ips', service, {
            data: Uint8Array.of(10, 0, 1, 0),
            comment: 'default/shop:http',
          });
          batch.addElement('IPv4', T, 'pick', Uint8Array.of(10, 0, 0, 0), {
            verdict: { code: 'goto', chain: 'c' },
          });
          batch.addElement('IPv4', T, 'allowed-sources', rangeKey(10, 0, 0, 0), {
            keyEnd: rangeKey(10, 255, 255, 255),
          });
          batch.addElement('IPv4', T, 'allowed-sources', rangeKey(192, 0, 2, 7), {
            keyEnd: rangeKey(192, 0, 2, 7),
          });
        });
        const listed = listRuleset();
        for (const line of [
          '10.96.0.1 . tcp . 80 . 9 : 10.128.0.5 . 8080',
          '10.96.0.1 . tcp . 80 comment "default/shop:http" : 1:a',
          '0:a : goto c',
          '10.96.0.1 . tcp . 80 . 10.0.0.0/8,',
          '10.96.0.1 . tcp . 80 . 192.0.2.7 }',
        ]) {
          assert.ok(listed.includes(line), `no ${line} in\n${listed}`);
        }
        flushRuleset();
        loadRuleset(listed);
        assert.equal(listRuleset(), listed);
      }),
    );
  });

  describe('A transaction', () => {
    test(
      'that fails in its middle leaves nothing',
      withNft((socket) => {
        const batch = new NftBatch();
        addEndpoints(batch);
        batch.deleteChain('IPv4', T, 'missing');
        batch.addChain('IPv4', T, { name: 'after' });
        batch.deleteSet('IPv4', T, 'missing-too');
        assert.throws(
          () => {
            socket.commit(batch);
          },
          kernelError(
            'SY_KERNEL_NOT_FOUND',
            /^deleting chain ip switchyard missing \(and 1 more of the same batch\): not found \(ENOENT\)/,
          ),
        );
        assert.deepEqual(socket.tables('IPv4'), []);
        assert.equal(listRuleset(), '');
      }),
    );

    test(
      'that failed does not disturb the next one',
      withNft((socket) => {
        const bad = new NftBatch();
        for (let index = 0; index < 50; index++) bad.deleteTable('IPv4', `missing-${index}`);
        assert.throws(
          () => {
            socket.commit(bad);
          },
          kernelError('SY_KERNEL_NOT_FOUND', /49 more/),
        );
        commit(socket, addEndpoints);
        assert.equal(socket.sets('IPv4', T).length, 1);
      }),
    );

    test(
      'names the element that is there with another value',
      withNft((socket) => {
        commit(socket, (batch) => {
          addEndpoints(batch);
          batch.addElement('IPv4', T, 'endpoints', slotKey(1, 0), { data: destination(1) });
        });
        assert.throws(
          () => {
            commit(socket, (batch) => {
              batch.addElement('IPv4', T, 'endpoints', slotKey(2, 0), { data: destination(1) });
              batch.addElement('IPv4', T, 'endpoints', slotKey(1, 0), { data: destination(2) });
            });
          },
          kernelError(
            'SY_KERNEL_EXISTS',
            /^adding element 0a60000106000000005000000{8} to set ip switchyard endpoints: /,
          ),
        );
        assert.equal(socket.elements('IPv4', T, 'endpoints').length, 1);
      }),
    );

    test(
      'names the element to delete that is not there',
      withNft((socket) => {
        commit(socket, addEndpoints);
        assert.throws(
          () => {
            commit(socket, (batch) => {
              batch.deleteElement('IPv4', T, 'endpoints', slotKey(3, 1));
            });
          },
          kernelError(
            'SY_KERNEL_NOT_FOUND',
            /^deleting element 0a600003060000000050000001000000 of set ip switchyard endpoints: /,
          ),
        );
      }),
    );

    test(
      'can put another value in the place of an element',
      withNft((socket) => {
        commit(socket, (batch) => {
          addEndpoints(batch);
          batch.addElement('IPv4', T, 'endpoints', slotKey(1, 0), { data: destination(1) });
        });
        commit(socket, (batch) => {
          batch.deleteElement('IPv4', T, 'endpoints', slotKey(1, 0));
          batch.addElement('IPv4', T, 'endpoints', slotKey(1, 0), { data: destination(2) });
        });
        const [element] = socket.elements('IPv4', T, 'endpoints');
        assert.deepEqual(Buffer.from(element?.data ?? []), destination(2));
      }),
    );

    test(
      'that deletes and flushes leaves just the rest',
      withNft((socket) => {
        commit(socket, addSampleRules);
        commit(socket, (batch) => {
          batch.addElement('IPv4', T, 'local-ips', Uint8Array.of(1, 2, 3, 4));
        });
        commit(socket, (batch) => {
          batch.flushSet('IPv4', T, 'local-ips');
          batch.flushChain('IPv4', T, 'masquerading');
          batch.deleteChain('IPv4', T, 'early');
          batch.deleteSet('IPv4', T, 'seen');
          batch.deleteTable('IPv6', T);
        });
        assert.deepEqual(socket.elements('IPv4', T, 'local-ips'), []);
        const rules = socket.rules('IPv4', T).filter(({ chain }) => chain === 'masquerading');
        assert.deepEqual(rules, []);
        assert.ok(!socket.chains('IPv4', T).some(({ name }) => name === 'early'));
        assert.ok(socket.chains('IPv4', T).some(({ name }) => name === 'masquerading'));
        assert.ok(!socket.sets('IPv4', T).some(({ name }) => name === 'seen'));
        assert.deepEqual(socket.tables('IPv6'), []);
      }),
    );
  });

  describe('The generation', () => {
    test(
      'grows by one with every commit, whoever makes it',
      withNft((socket) => {
        const before = socket.generation();
        commit(socket, addEndpoints);
        assert.equal(socket.generation(), before + 1);
        loadRuleset('add table ip other');
        assert.equal(socket.generation(), before + 2);
        assert.equal(socket.generation(), before + 2);
      }),
    );

    test(
      'refuses a commit that expects another one, and takes one that expects it',
      withNft((socket) => {
        const batch = new NftBatch();
        addEndpoints(batch);
        const seen = socket.generation();
        loadRuleset('add table ip other');
        assert.throws(
          () => {
            socket.commit(batch, seen);
          },
          kernelError('SY_KERNEL_STALE_GENERATION', /ERESTART/),
        );
        assert.deepEqual(
          socket.tables('IPv4').map(({ name }) => name),
          ['other'],
        );
        // The same batch, once more.
        socket.commit(batch, socket.generation());
        assert.equal(socket.sets('IPv4', T).length, 1);
      }),
    );
  });

  describe('Listings', () => {
    test(
      'tell what was committed',
      withNft((socket) => {
        commit(socket, addSampleSets);
        commit(socket, (batch) => {
          batch.addChain('IPv4', T, {
            name: 'in',
            hook: { type: 'filter', hook: 'input', priority: -5 },
          });
          batch.addRule('IPv4', T, 'in', [{ kind: 'verdict', verdict: { code: 'accept' } }], 'one');
          batch.addRule('IPv4', T, 'in', [{ kind: 'verdict', verdict: { code: 'accept' } }], 'two');
        });
        assert.deepEqual(
          socket.tables('IPv4').map(({ name, comment }) => [name, comment]),
          [[T, 'made for tests']],
        );
        assert.deepEqual(
          socket.chains('IPv4', T).map(({ name, hook }) => [name, hook]),
          [['in', { type: 'filter', hook: 'input', priority: -5 }]],
        );
        assert.deepEqual(
          socket.rules('IPv4', T).map(({ chain, comment }) => [chain, comment]),
          [
            ['in', 'one'],
            ['in', 'two'],
          ],
        );
        const allowed = socket.sets('IPv4', T).find(({ name }) => name === 'allowed-sources');
        const shape = setShape({
          name: 'allowed-sources',
          key: ['ipv4_addr', 'inet_proto', 'inet_service', 'ipv4_addr'],
          flags: ['interval'],
        });
        assert.deepEqual({ ...allowed, ...shape }, allowed);
        const ips = socket.sets('IPv4', T).find(({ name }) => name === 'cluster-ips');
        assert.equal(ips?.comment, 'every cluster IP');
        assert.equal(ips.size, 7);
        assert.equal(ips.timeoutMs, 3_600_000);
      }),
    );

    test(
      'of a missing table are empty, and its elements NOT_FOUND',
      withNft((socket) => {
        assert.deepEqual(socket.tables('IPv6'), []);
        assert.deepEqual(socket.chains('IPv4', T), []);
        assert.deepEqual(socket.rules('IPv4', T), []);
        assert.deepEqual(socket.sets('IPv4', T), []);
        assert.throws(
          () => socket.elements('IPv4', T, 'endpoints'),
          kernelError('SY_KERNEL_NOT_FOUND', /listing elements of set ip switchyard endpoints/),
        );
      }),
    );

    test(
      'do not mix up tables of one name in two families',
      withNft((socket) => {
        commit(socket, (batch) => {
          addEndpoints(batch);
          batch.addTable('IPv6', T);
          batch.addChain('IPv6', T, { name: 'six' });
        });
        assert.deepEqual(socket.chains('IPv4', T), []);
        assert.deepEqual(
          socket.chains('IPv6', T).map(({ name }) => name),
          ['six'],
        );
        assert.deepEqual(socket.sets('IPv6', T), []);
      }),
    );

    test(
      'of elements with timeouts tell how long they live and how much is left',
      withNft((socket) => {
        commit(socket, (batch) => {
          addSampleSets(batch);
          const key = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 17, 0, 0, 0, 0, 53, 0, 0);
          const options = { data: destination(1), timeoutMs: 60_000, expirationMs: 30_000 };
          batch.addElement('IPv4', T, 'affinity', key, options);
        });
        const [element] = socket.elements('IPv4', T, 'affinity');
        assert.equal(element?.timeoutMs, 60_000);
        const left = element.expirationMs ?? 0;
        assert.ok(left > 0 && left <= 30_000, `${left} ms left`);
      }),
    );

    test(
      'find elements by key, pass over missing ones, and know a missing set',
      withNft((socket) => {
        commit(socket, (batch) => {
          addEndpoints(batch);
          for (const slot of [0, 1, 3]) {
            batch.addElement('IPv4', T, 'endpoints', slotKey(1, slot), { data: destination(slot) });
          }
        });
        const find = (set: string, ...slots: number[]): number[] => {
          const found: number[] = [];
          const keys = slots.map((slot) => slotKey(1, slot));
          socket.findElements('IPv4', T, set, keys, ({ bytes, dataStart }) => {
            found.push(bytes.readUInt32BE(dataStart) - 0x0a80_0000);
          });
          return found;
        };
        assert.deepEqual(find('endpoints', 0, 1, 3), [0, 1, 3]);
        assert.deepEqual(find('endpoints', 7, 0, 2, 1, 3, 9), [0, 1, 3]);
        assert.deepEqual(find('endpoints', 7, 8), []);
        assert.deepEqual(find('endpoints'), []);
        assert.throws(() => find('missing', 0), kernelError('SY_KERNEL_NOT_FOUND'));
      }),
    );
  });

  describe('Large rulesets', () => {
    const services = 10_000;
    const slots = 11;

    function load(batch: NftBatch): void {
      for (let service = 0; service < services; service++) {
        for (let slot = 0; slot < slots; slot++) {
          const data = destination(service * slots + slot);
          batch.addElement('IPv4', T, 'endpoints', slotKey(service, slot), { data });
        }
      }
    }

    const needsBuffer = isFullRoot ? false : 'needs root outside user namespaces';

    test(
      '110,000 elements in one transaction, read back one by one',
      { skip: needsBuffer },
      withNft((socket, t) => {
        commit(socket, addEndpoints);
        const batch = new NftBatch();
        const start = performance.now();
        load(batch);
        const encoded = performance.now();
        socket.commit(batch);
        const committed = performance.now();
        const seen = new Set<string>();
        socket.eachElement('IPv4', T, 'endpoints', ({ bytes, keyStart, keyEnd }) => {
          seen.add(bytes.toString('latin1', keyStart, keyEnd));
        });
        t.diagnostic(
          `encode ${Math.round(encoded - start)} ms, commit ${Math.round(committed - encoded)} ms, read ${Math.round(performance.now() - committed)} ms, ${batch.byteLength} bytes`,
        );
        assert.equal(batch.operations, services * slots);
        assert.equal(seen.size, services * slots);
        assert.ok(seen.has(slotKey(services - 1, slots - 1).toString('latin1')));
      }),
    );

    test(
      'a transaction of more than 16 MB',
      { skip: needsBuffer },
      withNft((socket) => {
        const batch = new NftBatch();
        addEndpoints(batch);
        for (let index = 0; index < 190_000; index++) {
          const comment = 'a comment as long as the longest names of namespace, Service and port';
          const options = { data: destination(index), comment };
          batch.addElement('IPv4', T, 'endpoints', slotKey(index >> 4, index & 15), options);
        }
        assert.ok(batch.byteLength > 16 << 20, `${batch.byteLength} bytes`);
        socket.commit(batch);
        assert.equal(socket.sets('IPv4', T)[0]?.count ?? 190_000, 190_000);
        // The next one starts small again.
        batch.reset();
        batch.flushSet('IPv4', T, 'endpoints');
        socket.commit(batch);
        assert.deepEqual(socket.elements('IPv4', T, 'endpoints'), []);
      }),
    );
  });
});

/** Key of the set `allowed-sources`: 10.96.0.1 . tcp . 80 . source. */
function rangeKey(...source: readonly number[]): Uint8Array {
  return Uint8Array.of(10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0, ...source);
}
