/** What NftBatch encodes: byte for byte what nft 1.0.6 sends for the same ruleset, and its own rules. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { AttributeCursor, MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { NftBatch, type SetDefinition } from '../../../src/kernel/nftables/batch.ts';
import {
  NFNL_BATCH_GENID,
  NFNL_MSG_BATCH,
  NFTA_SET_ELEM_LIST,
  NFT_MSG,
} from '../../../src/kernel/nftables/constants.ts';
import { captured } from '../../fixtures/netlink/hex.ts';
import {
  addSampleCounters,
  addSampleElements,
  addSampleRules,
  addSampleSets,
} from '../../fixtures/netlink/sample-rulesets.ts';
import { joinElements, messageWords, wordsOfType } from './nft-words.ts';

/** What nft sent in its transaction, without the questions it asked before. */
function sentByNft(name: string): Buffer {
  const messages = captured(name, '>');
  const begin = messages.findIndex((bytes) => bytes.readUInt16LE(4) === NFNL_MSG_BATCH.BEGIN);
  assert.ok(begin >= 0, `${name}.hex holds no transaction`);
  const padded = messages
    .slice(begin)
    .flatMap((message) => [message, Buffer.alloc(-message.length & 3)]);
  return Buffer.concat(padded);
}

function encoded(fill: (batch: NftBatch) => void, first = 1, generation?: number): Buffer {
  const batch = new NftBatch();
  fill(batch);
  return Buffer.from(batch.encode(first, generation).bytes);
}

interface Header {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly length: number;
}

function headers(bytes: Buffer): Header[] {
  const found: Header[] = [];
  const message = new MessageCursor(bytes);
  while (message.next()) {
    const { type, flags, sequence, start, end } = message;
    found.push({ type, flags, sequence, length: end - start });
  }
  return found;
}

function argumentError(pattern: RegExp): (error: unknown) => boolean {
  return (error) => isKernelError(error, 'SY_KERNEL_ARGUMENT') && pattern.test(error.message);
}

/** Four bytes that hold a number. */
function key(index: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
}

/** Adds a set of addresses with something more to it. */
function set(more: Partial<SetDefinition>): (batch: NftBatch) => void {
  return (batch) => {
    batch.addSet('IPv4', 't', { name: 's', key: ['ipv4_addr'], ...more });
  };
}

/** The call throws, and leaves what was in the batch before as it was. */
function refused(fill: (batch: NftBatch) => void, pattern: RegExp): void {
  const batch = new NftBatch();
  batch.addElement('IPv4', 't', 's', key(1));
  const before = messageWords(batch.encode(1).bytes);
  assert.throws(() => fill(batch), argumentError(pattern));
  assert.deepEqual(messageWords(batch.encode(1).bytes), before);
  assert.equal(batch.operations, 1);
}

describe('NftBatch says the same as nft', () => {
  test('tables and sets, with every kind of type', () => {
    assert.deepEqual(messageWords(encoded(addSampleSets)), messageWords(sentByNft('sets')));
  });

  test('chains and rules, with every kind of expression', () => {
    // nft has an order of its own for sets and chains.
    const ours = messageWords(encoded(addSampleRules)).toSorted();
    assert.deepEqual(ours, messageWords(sentByNft('rules')).toSorted());
  });

  test('rules in the order in which they were added', () => {
    const ours = wordsOfType(encoded(addSampleRules), NFT_MSG.NEWRULE);
    assert.deepEqual(ours, wordsOfType(sentByNft('rules'), NFT_MSG.NEWRULE));
    assert.equal(ours.length, 28);
  });

  test('elements, deletions and flushes', () => {
    const ours = joinElements(messageWords(encoded(addSampleElements)));
    assert.deepEqual(ours, joinElements(messageWords(sentByNft('elements'))));
  });

  test('counters, maps to counters and rules that count', () => {
    // nft has an order of its own for objects and sets.
    const ours = messageWords(encoded(addSampleCounters)).toSorted();
    assert.deepEqual(ours, messageWords(sentByNft('counters')).toSorted());
  });
});

describe('A batch as a transaction', () => {
  test('is framed, numbered in a row, and asks for the acknowledgement of its last real message', () => {
    const found = headers(
      encoded((batch) => {
        batch.addTable('IPv4', 't');
        batch.addChain('IPv4', 't', { name: 'c' });
      }, 1000),
    );
    assert.deepEqual(
      found.map(({ type, sequence }) => [type, sequence]),
      [
        [NFNL_MSG_BATCH.BEGIN, 1000],
        [NFT_MSG.NEWTABLE, 1001],
        [NFT_MSG.NEWCHAIN, 1002],
        [NFNL_MSG_BATCH.END, 1003],
      ],
    );
    const acknowledged = found.map(({ flags }) => (flags & 4) !== 0);
    assert.deepEqual(acknowledged, [false, false, true, false]);
  });

  test('carries the expected generation in its first message, only when there is one', () => {
    const withGeneration = encoded((batch) => batch.addTable('IPv4', 't'), 1, 0x1234);
    const attributes = new AttributeCursor(withGeneration, 20, 28);
    assert.ok(attributes.next());
    assert.equal(attributes.type, NFNL_BATCH_GENID);
    assert.equal(attributes.u32be(), 0x1234);
    const without = encoded((batch) => batch.addTable('IPv4', 't'));
    assert.equal(without.length, withGeneration.length - 8);
    assert.equal(headers(without)[0]?.length, 4);
  });

  test('can be encoded again, also after more was added', () => {
    const batch = new NftBatch();
    batch.addTable('IPv4', 't');
    batch.addElement('IPv4', 't', 's', Uint8Array.of(1, 2, 3, 4));
    const once = Buffer.from(batch.encode(1).bytes);
    assert.deepEqual(Buffer.from(batch.encode(1).bytes), once);
    batch.addElement('IPv4', 't', 's', Uint8Array.of(5, 6, 7, 8));
    assert.equal(headers(batch.encode(1).bytes).length, headers(once).length + 1);
    assert.equal(batch.operations, 3);
  });

  test('is empty when new and after reset, and then starts over', () => {
    const batch = new NftBatch();
    assert.ok(batch.isEmpty());
    addSampleSets(batch);
    assert.ok(!batch.isEmpty());
    assert.equal(batch.byteLength, batch.encode(1).bytes.length);
    batch.reset();
    assert.ok(batch.isEmpty());
    assert.equal(batch.operations, 0);
    addSampleSets(batch);
    assert.deepEqual(Buffer.from(batch.encode(1).bytes), encoded(addSampleSets));
  });
});

describe('Elements', () => {
  test('share messages until the 16-bit length of the list is near', () => {
    const bytes = encoded((batch) => {
      for (let index = 0; index < 20_000; index++) batch.addElement('IPv4', 't', 's', key(index));
    });
    const keys: number[] = [];
    const message = new MessageCursor(bytes);
    let messages = 0;
    while (message.next()) {
      if (message.type !== NFT_MSG.NEWSETELEM) continue;
      messages++;
      const attributes = new AttributeCursor(bytes, message.start + 4, message.end);
      while (attributes.next()) {
        if (attributes.type !== NFTA_SET_ELEM_LIST.ELEMENTS) continue;
        assert.ok(attributes.end - attributes.start < 0x1_0000 - 4);
        const elements = attributes.nested();
        while (elements.next()) keys.push(bytes.readUInt32BE(elements.start + 8));
      }
    }
    assert.ok(messages > 1 && messages < 10, `${messages} messages`);
    assert.deepEqual(keys, [...Array.from({ length: 20_000 }).keys()]);
  });

  test('of another set, verb, table or family start a new message', () => {
    const batch = new NftBatch();
    batch.addElement('IPv4', 't', 'a', key(1));
    batch.addElement('IPv4', 't', 'b', key(1));
    batch.deleteElement('IPv4', 't', 'b', key(1));
    batch.deleteElement('IPv6', 't', 'b', key(1));
    batch.deleteElement('IPv6', 'u', 'b', key(1));
    batch.deleteElement('IPv6', 'u', 'b', key(2));
    assert.equal(batch.messageCount, 5);
    assert.equal(batch.operations, 6);
  });

  test('are put behind what was added between them', () => {
    const types = headers(
      encoded((batch) => {
        batch.addElement('IPv4', 't', 'a', key(1));
        batch.flushSet('IPv4', 't', 'b');
        batch.addElement('IPv4', 't', 'a', key(2));
      }),
    ).map(({ type }) => type);
    assert.deepEqual(types.slice(1, -1), [
      NFT_MSG.NEWSETELEM,
      NFT_MSG.DELSETELEM,
      NFT_MSG.NEWSETELEM,
    ]);
  });
});

describe('Descriptions for errors', () => {
  test('name what was to be done to what', () => {
    const batch = new NftBatch();
    batch.addTable('IPv4', 't');
    batch.deleteChain('IPv6', 't', 'c');
    batch.addRule('IPv4', 't', 'c', []);
    batch.flushChain('IPv4', 't', 'c');
    batch.addSet('IPv4', 't', { name: 's', key: ['mark'] });
    batch.deleteElement('IPv4', 't', 's', Uint8Array.of(0xab, 0xcd));
    batch.deleteCounter('IPv4', 't', 'in/x');
    const said = [0, 1, 2, 3, 4, 5, 6].map((index) => batch.describe(index));
    assert.deepEqual(said, [
      'adding table ip t',
      'deleting chain ip6 t c',
      'adding rule to chain ip t c',
      'flushing chain ip t c',
      'adding set ip t s',
      'deleting elements of set ip t s',
      'deleting counter ip t in/x',
    ]);
    assert.equal(batch.describe(-1), 'committing 7 nf_tables operations');
  });

  test('name the element when the kernel says where the fault is', () => {
    const batch = new NftBatch();
    batch.addElement('IPv4', 't', 'm', Uint8Array.of(1, 2, 3, 3), {
      data: Uint8Array.of(1, 1, 1, 1),
    });
    batch.addElement('IPv4', 't', 'm', Uint8Array.of(1, 2, 3, 4), {
      data: Uint8Array.of(9, 9, 9, 9),
    });
    // Header 16, nfgenmsg 4, table and set names 8 each, list header 4, first element 28.
    assert.equal(batch.describe(0, 68), 'adding element 01020304 to set ip t m');
    for (const offset of [0, 3, 41, 10_000]) {
      assert.match(batch.describe(0, offset), /^adding elements to set ip t m$/);
    }
  });
});

describe('What cannot be sent is refused at once', () => {
  test('names that are empty, too long, or hold a NUL', () => {
    refused((batch) => batch.addTable('IPv4', ''), /table name/);
    refused((batch) => batch.addChain('IPv4', 't', { name: 'x'.repeat(256) }), /chain name/);
    refused((batch) => batch.deleteSet('IPv4', 't', 'a\0b'), /set name/);
    refused((batch) => batch.addCounter('IPv4', 't', ''), /counter name/);
    new NftBatch().addChain('IPv4', 't', { name: 'x'.repeat(255) });
  });

  test('comments that do not fit, or that nft could not write between quotes', () => {
    refused((batch) => batch.addTable('IPv4', 't', 'x'.repeat(254)), /254 characters/);
    refused((batch) => batch.addTable('IPv4', 't', 'say "no"'), /plain ASCII/);
    refused((batch) => batch.addTable('IPv4', 't', 'caf\u00e9'), /plain ASCII/);
    refused((batch) => batch.addRule('IPv4', 't', 'c', [], 'a\nb'), /plain ASCII/);
    new NftBatch().addTable('IPv4', 't', 'x'.repeat(253));
  });

  test('keys and values the kernel has no room for', () => {
    refused((batch) => {
      batch.addElement('IPv4', 't', 's', new Uint8Array(0));
    }, /0 bytes/);
    refused((batch) => {
      batch.addElement('IPv4', 't', 's', key(1), { data: new Uint8Array(65) });
    }, /65 bytes/);
    refused((batch) => {
      batch.addElement('IPv4', 't', 's', key(1), { timeoutMs: -1 });
    }, /not an integer/);
    refused((batch) => {
      batch.addElement('IPv4', 't', 's', key(1), { comment: 'no "quotes"' });
    }, /plain ASCII/);
  });

  test('sets the kernel or nft could not handle', () => {
    refused(set({ key: [] }), /key/);
    refused(set({ data: [] }), /data/);
    refused(set({ key: Array.from({ length: 5 }, () => 'ipv6_addr' as const) }), /64 bytes/);
    refused(set({ flags: ['interval'] }), /interval/);
    refused(set({ key: ['mark', 'numgen'] }), /mark cannot go with numgen/);
    refused(set({ typeof: { key: ['ip saddr', 'ip daddr'] } }), /numbers of fields/);
    refused(set({ size: -1 }), /not an integer/);
    refused(set({ timeoutMs: 0.5 }), /not an integer/);
  });

  test('a set whose types and comment exceed the room the kernel has for them', () => {
    const endpoints: Partial<SetDefinition> = {
      key: ['ipv4_addr', 'inet_proto', 'inet_service', 'numgen'],
      data: ['ipv4_addr', 'inet_service'],
    };
    refused(set({ ...endpoints, comment: 'x'.repeat(100) }), /shorten the comment/);
    set({ ...endpoints, comment: 'x'.repeat(80) })(new NftBatch());
  });
});
