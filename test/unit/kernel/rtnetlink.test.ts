/** Addresses and links, against what the kernel and ip(8) say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.ts';
import { IFA, IFA_F, IFF, RTM } from '../../../src/kernel/rtnetlink/constants.ts';
import {
  type InterfaceAddress,
  type Link,
  readAddress,
  readLink,
  writeList,
} from '../../../src/kernel/rtnetlink/messages.ts';
import { captured } from '../../fixtures/netlink/hex.ts';

const names = new Map([
  [1, 'lo'],
  [2, 'v1'],
  [3, 'v0'],
]);

function cursor(bytes: Buffer): MessageCursor {
  const message = new MessageCursor(bytes);
  assert.ok(message.next());
  return message;
}

function answers(type: number): MessageCursor[] {
  return captured('addresses', '<')
    .map((bytes) => cursor(bytes))
    .filter((message) => message.type === type);
}

function addresses(): InterfaceAddress[] {
  return answers(RTM.NEWADDR)
    .map((message) => readAddress(message, (index) => names.get(index)))
    .filter((address) => address !== undefined);
}

function links(): Link[] {
  return answers(RTM.NEWLINK).map((message) => readLink(message));
}

describe('Addresses as the kernel lists them', () => {
  test('with prefix, interface and scope', () => {
    assert.deepEqual(
      addresses().map(({ address, prefix, interfaceName, scope }) => [
        `${address}/${prefix}`,
        interfaceName,
        scope,
      ]),
      [
        ['127.0.0.1/8', 'lo', 'host'],
        ['10.1.2.3/24', 'v0', 'global'],
        ['10.9.9.1/32', 'v0', 'global'],
        ['::1/128', 'lo', 'host'],
        ['fd00::2/64', 'v0', 'global'],
        ['fd00::1/64', 'v0', 'global'],
      ],
    );
  });

  test('are our own on a point-to-point link, not the peer', () => {
    assert.ok(!addresses().some(({ address }) => address === '10.9.9.2'));
  });

  test('are our own in whatever order address and peer come', () => {
    const writer = new NetlinkWriter();
    writer.begin(RTM.NEWADDR, 0, 0);
    writer.raw(Uint8Array.of(2, 32, 0, 0, 3, 0, 0, 0));
    writer.bytes(IFA.LOCAL, Uint8Array.of(10, 9, 9, 1));
    writer.bytes(IFA.ADDRESS, Uint8Array.of(10, 9, 9, 2));
    writer.end();
    const message = cursor(Buffer.from(writer.written()));
    assert.equal(readAddress(message, () => 'v0')?.address, '10.9.9.1');
  });

  test('with the flags that say whether they can be used', () => {
    const tentative = addresses().filter(({ flags }) => (flags & IFA_F.TENTATIVE) !== 0);
    assert.deepEqual(
      tentative.map(({ address }) => address),
      ['fd00::2'],
    );
  });

  test('of links nobody knows have no name', () => {
    const [first] = answers(RTM.NEWADDR);
    assert.ok(first !== undefined);
    assert.equal(readAddress(first, () => undefined)?.interfaceName, undefined);
  });
});

describe('Links as the kernel lists them', () => {
  test('with index, name and flags', () => {
    assert.deepEqual(
      links().map(({ index, name, flags }) => [index, name, (flags & IFF.UP) !== 0]),
      [
        [1, 'lo', true],
        [2, 'v1', false],
        [3, 'v0', true],
      ],
    );
  });
});

describe('Requests', () => {
  test('for addresses are those of ip(8)', () => {
    const theirs = captured('addresses', '>').find(
      (bytes) => bytes.readUInt16LE(4) === RTM.GETADDR,
    );
    const writer = new NetlinkWriter();
    writeList(writer, 'addresses', theirs?.readUInt32LE(8) ?? 0);
    assert.deepEqual(Buffer.from(writer.written()), theirs);
  });

  test('for links are those of ip(8), which leaves out some details besides', () => {
    const theirs = captured('addresses', '>').find(
      (bytes) => bytes.readUInt16LE(4) === RTM.GETLINK,
    );
    const writer = new NetlinkWriter();
    writeList(writer, 'links', theirs?.readUInt32LE(8) ?? 0);
    assert.deepEqual(writer.written().subarray(4), theirs?.subarray(4, 32));
  });
});

test('damaged messages give MALFORMED or values, never anything else', () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...captured('addresses', '<')),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      (original, changes, cut) => {
        const bytes = Buffer.from(original.subarray(0, original.length - (cut % 4)));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        for (const read of [readLink, (message: MessageCursor) => readAddress(message, String)]) {
          try {
            const message = new MessageCursor(bytes);
            while (message.next()) read(message);
          } catch (error) {
            assert.ok(isKernelError(error, 'SY_KERNEL_MALFORMED'), String(error));
          }
        }
      },
    ),
    { numRuns: 1000 },
  );
});
