/** Reading what nf_tables lists: the kernel's own answers to `nft list ruleset`, and damaged ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { NFPROTO, NFT_MSG, NFT_SET } from '../../../src/kernel/nftables/constants.ts';
import { type ElementInfo, ElementReader } from '../../../src/kernel/nftables/elements.ts';
import {
  readChain,
  readCounter,
  readRule,
  readSet,
  readTable,
} from '../../../src/kernel/nftables/info.ts';
import { setShape } from '../../../src/kernel/nftables/set-types.ts';
import { UDATA_SET, findUserdataText } from '../../../src/kernel/nftables/userdata.ts';
import { captured } from '../../fixtures/netlink/hex.ts';

/** Messages of one type and family in a capture. */
function listed(
  type: number,
  protocol: number = NFPROTO.IPv4,
  capture = 'ruleset-listing',
): MessageCursor[] {
  return captured(capture, '<')
    .map((answer) => new MessageCursor(answer))
    .filter(
      (message) =>
        message.next() &&
        message.type === type &&
        message.bytes.readUInt8(message.start) === protocol,
    );
}

function read<T>(type: number, reader: (message: MessageCursor) => T | undefined): T[] {
  return listed(type)
    .map((message) => reader(message))
    .filter((info) => info !== undefined);
}

function elementsOf(capture?: string): ElementInfo[] {
  const reader = new ElementReader();
  const found: ElementInfo[] = [];
  for (const message of listed(NFT_MSG.NEWSETELEM, NFPROTO.IPv4, capture)) {
    reader.read(message.bytes, message.start, message.end, () => found.push(reader.info()));
  }
  return found;
}

function bytes(...values: number[]): Buffer {
  return Buffer.from(values);
}

describe('What the kernel lists', () => {
  test('tables with handle and comment', () => {
    const tables = read(NFT_MSG.NEWTABLE, readTable);
    assert.deepEqual(
      tables.map(({ name, comment }) => [name, comment]),
      [
        ['switchyard', undefined],
        ['t', undefined],
      ],
    );
    assert.ok(tables.every(({ handle }) => handle > 0));
  });

  test('chains of a table, base chains with their hook', () => {
    const chains = read(NFT_MSG.NEWCHAIN, (message) => readChain(message, 'switchyard'));
    const hooks = chains.map(({ name, hook }) => [name, hook]);
    assert.deepEqual(hooks, [
      ['pre', { type: 'nat', hook: 'prerouting', priority: -100 }],
      ['out', { type: 'nat', hook: 'output', priority: -100 }],
      ['post', { type: 'nat', hook: 'postrouting', priority: 100 }],
      ['early', { type: 'filter', hook: 'forward', priority: -10 }],
      ['services', undefined],
      ['service', undefined],
      ['pick-10', undefined],
      ['refuse', undefined],
      ['masquerading', undefined],
    ]);
    const others = read(NFT_MSG.NEWCHAIN, (message) => readChain(message, 't'));
    assert.deepEqual(
      others.map(({ name }) => name),
      ['c'],
    );
  });

  test('rules with chain, handle and comment, in order', () => {
    const twice = read(NFT_MSG.NEWRULE, (message) => readRule(message, 'switchyard'));
    // nft asks once for each table and gets the rules of all.
    const rules = [...new Map(twice.map((rule) => [rule.handle, rule])).values()];
    assert.equal(rules.length, 21);
    assert.deepEqual(
      rules
        .filter(({ comment }) => comment !== undefined)
        .map(({ chain, comment }) => [chain, comment]),
      [['pre', 'every packet']],
    );
  });

  test('sets in the shape they were declared with', () => {
    const sets = read(NFT_MSG.NEWSET, (message) => readSet(message, 'switchyard'));
    const endpoints = sets.find(({ name }) => name === 'endpoints');
    assert.deepEqual(endpoints, {
      name: 'endpoints',
      ...setShape({
        name: 'endpoints',
        key: ['ipv4_addr', 'inet_proto', 'inet_service', 'numgen'],
        data: ['ipv4_addr', 'inet_service'],
      }),
      size: 1_048_576,
      count: 0,
      timeoutMs: 0,
      comment: undefined,
    });
    const affinity = sets.find(({ name }) => name === 'affinity');
    assert.equal(affinity?.flags, NFT_SET.MAP | NFT_SET.TIMEOUT | NFT_SET.EVAL);
    const pick = sets.find(({ name }) => name === 'pick');
    assert.deepEqual(
      { ...pick },
      {
        name: 'pick',
        ...setShape({ name: 'pick', key: ['classid'], data: 'verdict' }),
        size: 0,
        count: 0,
        timeoutMs: 0,
        comment: undefined,
      },
    );
  });

  test('elements with keys, values, ranges, verdicts, comments and times', () => {
    const elements = elementsOf();
    const expected: readonly ElementInfo[] = [
      { key: bytes(1, 2, 3, 4), comment: 'default/shop:http' },
      { key: bytes(0, 0, 0, 0), verdict: { code: 'drop' }, comment: 'nobody' },
      { key: bytes(10, 0, 0, 0), verdict: { code: 'goto', chain: 'c' } },
      {
        key: bytes(1, 2, 3, 4, 0, 80, 0, 0),
        data: bytes(5, 6, 7, 8, 0x1f, 0x90, 0, 0),
        comment: 'x',
      },
      {
        key: bytes(1, 2, 3, 4, 6, 0, 0, 0, 0, 80, 0, 0, 10, 0, 0, 0),
        keyEnd: bytes(1, 2, 3, 4, 6, 0, 0, 0, 0, 80, 0, 0, 10, 255, 255, 255),
        comment: 'lb',
      },
      {
        key: bytes(1, 2, 3, 4, 17, 0, 0, 0, 0, 53, 0, 0, 10, 0, 0, 0),
        keyEnd: bytes(1, 2, 3, 4, 17, 0, 0, 0, 0, 53, 0, 0, 10, 255, 255, 255),
      },
      {
        key: bytes(1, 2, 3, 4, 1, 2, 3, 5, 6, 0, 0, 0, 0, 80, 0, 0),
        data: bytes(1, 2, 3, 6, 0, 88, 0, 0),
        timeoutMs: 10_800_000,
      },
    ];
    for (const element of expected) {
      const key = Buffer.from(element.key);
      const found = elements.find((candidate) => key.equals(candidate.key));
      assert.deepEqual(
        found,
        found?.expirationMs === undefined
          ? element
          : { ...element, expirationMs: found.expirationMs },
      );
    }
    assert.equal(elements.length, expected.length);
    const aging = elements.find(({ timeoutMs }) => timeoutMs !== undefined);
    const left = aging?.expirationMs ?? 0;
    assert.ok(left > 3_000_000 && left <= 3_600_000, `${left} ms left`);
  });

  test('elements of one message one after the other, nothing carried over', () => {
    const reader = new ElementReader();
    const seen: string[] = [];
    for (const message of listed(NFT_MSG.NEWSETELEM)) {
      reader.read(message.bytes, message.start, message.end, (element) => {
        const key = element.bytes.toString('hex', element.keyStart, element.keyEnd);
        seen.push(`${key} ${element.comment() ?? '-'} ${element.verdict()?.code ?? '-'}`);
      });
    }
    assert.ok(seen.includes('00000000 nobody drop'));
    assert.ok(seen.includes('0a000000 - goto'));
  });
});

describe('What the kernel lists of counters', () => {
  const key = bytes(10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0);
  const counter = 'in/tcp/shop/web/http';

  test('their names and values', () => {
    const [message] = listed(NFT_MSG.NEWOBJ, NFPROTO.IPv4, 'counters-listing');
    assert.ok(message !== undefined);
    assert.deepEqual(readCounter(message), { name: counter, packets: 7, bytes: 9000 });
  });

  test('maps to them, and which of them an element leads to', () => {
    assert.deepEqual(elementsOf('counters-listing'), [{ key, counter }]);
    const [message] = listed(NFT_MSG.NEWSET, NFPROTO.IPv4, 'counters-listing');
    assert.ok(message !== undefined);
    const { flags, keyLength, dataLength, comment } = readSet(message, 't') ?? {};
    assert.deepEqual([flags, keyLength, dataLength], [NFT_SET.OBJECT, 12, 0]);
    assert.equal(comment, 'frontend : counter');
  });
});

/** Comment of a set in user data given in hexadecimal. */
function commentIn(hex: string): string | undefined {
  const userdata = Buffer.from(hex, 'hex');
  return findUserdataText(userdata, 0, userdata.length, UDATA_SET.COMMENT);
}

describe('Comments', () => {
  test('are found among other user data, and not in user data that is damaged', () => {
    assert.equal(commentIn('0004000000000703686900'), 'hi');
    assert.equal(commentIn('07026869'), 'hi');
    assert.equal(commentIn('0700'), '');
    assert.equal(commentIn('000400000000'), undefined);
    assert.equal(commentIn('07ff6869'), undefined);
    assert.equal(commentIn('07'), undefined);
    assert.equal(commentIn(''), undefined);
  });
});

describe('Damaged listings', () => {
  test('give values inside the message or MALFORMED, whatever bytes changed', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    const readers: readonly ((message: MessageCursor) => unknown)[] = [
      readTable,
      (message) => readChain(message, 't'),
      (message) => readRule(message, 't'),
      (message) => readSet(message, 't'),
      readCounter,
      (message) => {
        const reader = new ElementReader();
        reader.read(message.bytes, message.start, message.end, (element) => {
          assert.ok(element.keyEnd <= message.end && element.dataEnd <= message.end);
          reader.info();
        });
      },
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...captured('ruleset-listing', '<'), ...captured('counters-listing', '<')),
        fc.array(change, { minLength: 1, maxLength: 5 }),
        (original, changes) => {
          const damaged = Buffer.from(original);
          for (const [at, value] of changes) damaged[at % damaged.length] = value;
          for (const reader of readers) {
            try {
              const message = new MessageCursor(damaged);
              while (message.next()) reader(message);
            } catch (error) {
              assert.ok(isKernelError(error, 'SY_KERNEL_MALFORMED'), String(error));
            }
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
