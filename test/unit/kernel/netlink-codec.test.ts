/** The netlink writer and reader: their bytes, and that no input makes the reader leave its range. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KernelError, isKernelError } from '../../../src/kernel/errors.ts';
import {
  AttributeCursor,
  MessageCursor,
  readAcknowledgement,
} from '../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.ts';
import { captured } from '../../fixtures/netlink/hex.ts';

function attributes(fill: (writer: NetlinkWriter) => void): Buffer {
  const writer = new NetlinkWriter();
  fill(writer);
  return Buffer.from(writer.written());
}

function hex(fill: (writer: NetlinkWriter) => void): string {
  return attributes(fill).toString('hex');
}

function firstAttribute(bytes: Buffer): AttributeCursor {
  const cursor = new AttributeCursor(bytes, 0, bytes.length);
  assert.ok(cursor.next());
  return cursor;
}

function isMalformed(error: unknown): boolean {
  return isKernelError(error, 'SY_KERNEL_MALFORMED');
}

/** A message header that claims this length, in 20 bytes. */
function messageOf(length: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(length);
  return bytes;
}

/** An attribute header that claims this length, in 8 bytes. */
function attributeOf(length: number): Buffer {
  return Buffer.from([length, 0, 1, 0, 0, 0, 0, 0]);
}

/** The last answer of a capture. */
function answerOf(name: string): MessageCursor {
  const cursor = new MessageCursor(captured(name, '<').at(-1) ?? Buffer.alloc(0));
  assert.ok(cursor.next());
  return cursor;
}

describe('NetlinkWriter', () => {
  test('writes attributes with length, type and padding of zeros', () => {
    assert.equal(
      hex((writer) => writer.u8(2, 0xab)),
      '05000200ab000000',
    );
    assert.equal(
      hex((writer) => writer.u16be(2, 0x1234)),
      '0600020012340000',
    );
    assert.equal(
      hex((writer) => writer.u32(2, 0x12345678)),
      '0800020078563412',
    );
    assert.equal(
      hex((writer) => writer.u32be(2, 0x12345678)),
      '0800020012345678',
    );
    assert.equal(
      hex((writer) => writer.i32be(2, -4)),
      '08000200fffffffc',
    );
    assert.equal(
      hex((writer) => writer.u64be(2, 2 ** 40 + 5)),
      '0c0002000000010000000005',
    );
    assert.equal(
      hex((writer) => writer.string(1, 'abcd')),
      '090001006162636400000000',
    );
    assert.equal(
      hex((writer) => writer.bytes(1, Uint8Array.of(1, 2))),
      '0600010001020000',
    );
    assert.equal(
      hex((writer) => writer.nestedBytes(1, 2, Uint8Array.of(9))),
      '0c0001800500020009000000',
    );
  });

  test('writes a message with its length behind nested attributes', () => {
    const bytes = attributes((writer) => {
      const at = writer.begin(0xa00, 1, 7);
      writer.nfgenmsg(2, 0x0102);
      const outer = writer.beginNested(3);
      const inner = writer.beginNested(4);
      writer.u8(1, 1);
      writer.endNested(inner);
      writer.endNested(outer);
      writer.end();
      writer.addFlags(at, 4);
      writer.setSequence(at, 0xdeadbeef);
    });
    assert.equal(
      bytes.toString('hex'),
      '24000000000a0500efbeadde0000000002000102100003800c0004800500010001000000',
    );
  });

  test('grows as needed and keeps what was written', () => {
    const writer = new NetlinkWriter();
    for (let index = 0; index < 100_000; index++) writer.u32be(1, index);
    const bytes = writer.written();
    assert.equal(bytes.length, 800_000);
    assert.equal(bytes.readUInt32BE(8 * 99_999 + 4), 99_999);
    assert.equal(bytes.readUInt32BE(4), 0);
    writer.reset();
    assert.equal(writer.length, 0);
  });

  test('leaves no old bytes in the padding of a buffer that is used again', () => {
    const writer = new NetlinkWriter();
    writer.bytes(1, Buffer.alloc(200, 0xff));
    writer.reset();
    writer.bytes(1, Uint8Array.of(1));
    writer.string(2, '');
    writer.u8(3, 1);
    assert.equal(
      writer.written().toString('hex'),
      '050001000100000005000200000000000500030001000000',
    );
  });

  test('refuses numbers that do not fit', () => {
    const bad: readonly ((writer: NetlinkWriter) => void)[] = [
      (writer) => writer.u8(1, 256),
      (writer) => writer.u16be(1, -1),
      (writer) => writer.u32(1, 2 ** 32),
      (writer) => writer.u32be(1, 1.5),
      (writer) => writer.u32be(1, Number.NaN),
      (writer) => writer.i32be(1, 2 ** 31),
      (writer) => writer.u64be(1, -1),
      (writer) => writer.u64be(1, 2 ** 60),
    ];
    for (const write of bad) {
      assert.throws(
        () => attributes(write),
        (error) => isKernelError(error, 'SY_KERNEL_ARGUMENT'),
      );
    }
  });

  test('refuses attributes longer than 16 bits can say', () => {
    const bad: readonly ((writer: NetlinkWriter) => void)[] = [
      (writer) => writer.bytes(1, Buffer.alloc(65_532)),
      (writer) => writer.string(1, 'x'.repeat(65_531)),
      (writer) => {
        const nested = writer.beginNested(1);
        for (let index = 0; index < 9000; index++) writer.u32(1, index);
        writer.endNested(nested);
      },
    ];
    for (const write of bad) {
      assert.throws(
        () => attributes(write),
        (error) => isKernelError(error, 'SY_KERNEL_ARGUMENT'),
      );
    }
    attributes((writer) => writer.bytes(1, Buffer.alloc(65_531)));
  });
});

describe('What was written can be read', () => {
  test('numbers, text and bytes', () => {
    const values = fc.record({
      u8: fc.integer({ min: 0, max: 0xff }),
      u16: fc.integer({ min: 0, max: 0xffff }),
      u32: fc.integer({ min: 0, max: 0xffff_ffff }),
      i32: fc.integer(),
      u64: fc.maxSafeNat(),
      text: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
      bytes: fc.uint8Array({ maxLength: 200 }),
    });
    fc.assert(
      fc.property(values, (value) => {
        const bytes = attributes((writer) => {
          writer.u8(1, value.u8);
          writer.u16be(2, value.u16);
          writer.u32(3, value.u32);
          writer.u32be(4, value.u32);
          writer.i32be(5, value.i32);
          writer.u64be(6, value.u64);
          writer.string(7, value.text);
          writer.bytes(8, value.bytes);
        });
        const cursor = new AttributeCursor(bytes, 0, bytes.length);
        const readers: readonly (() => unknown)[] = [
          () => cursor.u8(),
          () => cursor.u16be(),
          () => cursor.u32(),
          () => cursor.u32be(),
          () => cursor.i32be(),
          () => cursor.u64be(),
          () => cursor.string(),
          () => Uint8Array.from(cursor.view()),
        ];
        const read = readers.map((reader, index) => {
          assert.ok(cursor.next());
          assert.equal(cursor.type, index + 1);
          return reader();
        });
        const { u8, u16, u32, i32, u64, text, bytes: raw } = value;
        assert.deepEqual(read, [u8, u16, u32, u32, i32, u64, text, raw]);
        assert.ok(!cursor.next());
      }),
    );
  });
});

/** Walks over everything in a datagram, attributes in attributes, and checks each offset. */
function walk(bytes: Buffer): void {
  const message = new MessageCursor(bytes);
  while (message.next()) {
    assert.ok(message.start <= message.end && message.end <= bytes.length);
    walkAttributes(new AttributeCursor(bytes, message.start, message.end), message.end, 0);
    if (message.type === 2) readAcknowledgement(message);
  }
}

function walkAttributes(cursor: AttributeCursor, limit: number, depth: number): void {
  let last = -1;
  while (cursor.next()) {
    assert.ok(cursor.start > last && cursor.start <= cursor.end && cursor.end <= limit);
    last = cursor.start;
    cursor.string();
    for (const read of [() => cursor.u8(), () => cursor.u32(), () => cursor.u64be()]) {
      try {
        read();
      } catch (error) {
        assert.ok(isMalformed(error));
      }
    }
    if (depth < 8) {
      try {
        walkAttributes(cursor.nested(), cursor.end, depth + 1);
      } catch (error) {
        assert.ok(isMalformed(error));
      }
    }
  }
}

describe('The reader', () => {
  test('ends or says MALFORMED on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        try {
          walk(Buffer.from(input));
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('ends or says MALFORMED on real messages with a few bytes changed', () => {
    const real = ['ruleset-listing', 'addresses', 'conntrack-listing', 'refused-route'].flatMap(
      (name) => captured(name, '<'),
    );
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...real),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (original, changes, cut) => {
          const bytes = Buffer.from(original);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          try {
            walk(bytes.subarray(0, bytes.length - (cut % 8)));
          } catch (error) {
            assert.ok(isMalformed(error), String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('refuses lengths that are too small or too large', () => {
    for (const length of [0, 15, 21, 0xffff_ffff]) {
      assert.throws(() => new MessageCursor(messageOf(length)).next(), isMalformed);
    }
    assert.throws(() => new MessageCursor(Buffer.alloc(10)).next(), isMalformed);
    for (const length of [0, 3, 9, 255]) {
      assert.throws(() => firstAttribute(attributeOf(length)), isMalformed);
    }
    assert.throws(() => new AttributeCursor(Buffer.alloc(4), 0, 5), isMalformed);
  });

  test('takes less than a header at the end for padding', () => {
    const cursor = firstAttribute(Buffer.from([5, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0]));
    assert.equal(cursor.u8(), 9);
    assert.ok(!cursor.next());
  });

  test('looks past the flags in an attribute type', () => {
    assert.equal(firstAttribute(Buffer.from([4, 0, 7, 0xc0])).type, 7);
  });
});

describe('Acknowledgements as the kernel sends them', () => {
  test('with words', () => {
    assert.deepEqual(readAcknowledgement(answerOf('refused-route')), {
      errno: 101,
      message: 'Nexthop has invalid gateway',
      attributeOffset: undefined,
    });
  });

  test('with the place of the fault, behind the repeated request', () => {
    assert.deepEqual(readAcknowledgement(answerOf('refused-element')), {
      errno: 17,
      message: undefined,
      attributeOffset: 76,
    });
  });

  test('cut short are malformed', () => {
    const bytes = Buffer.from(captured('refused-route', '<').at(-1) ?? []);
    const short = Buffer.from(bytes.subarray(0, 28));
    short.writeUInt32LE(28);
    const cursor = new MessageCursor(short);
    assert.ok(cursor.next());
    assert.throws(() => readAcknowledgement(cursor), KernelError);
  });
});
