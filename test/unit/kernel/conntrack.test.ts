/** Conntrack entries and requests, against what the kernel and conntrack(8) say, and a made-up kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Address, parseAddress } from '../../../src/core/ip.ts';
import { Conntrack, type StaleUdp } from '../../../src/kernel/conntrack/conntrack.ts';
import { CTA, IPCTNL_MSG_CT } from '../../../src/kernel/conntrack/constants.ts';
import { FlowReader, writeDelete, writeList } from '../../../src/kernel/conntrack/flow.ts';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { AttributeCursor, MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.ts';
import { captured } from '../../fixtures/netlink/hex.ts';
import { type Script, ScriptedIo, acknowledgement, done } from './scripted-io.ts';

const ENOENT = 2;
const EPERM = 1;
const EINVAL = 22;

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

function cursor(bytes: Buffer | undefined): MessageCursor {
  const message = new MessageCursor(bytes ?? Buffer.alloc(0));
  assert.ok(message.next());
  return message;
}

/** Value of a top-level attribute. */
function attribute(message: MessageCursor, type: number): Buffer | undefined {
  const attributes = new AttributeCursor(message.bytes, message.start + 4, message.end);
  while (attributes.next()) if (attributes.type === type) return attributes.view();
  return undefined;
}

/** The entries of a capture, readdressed to a request's sequence number. */
function entries(name: string, sequence: number): Buffer[] {
  return captured(name, '<')
    .filter((bytes) => bytes.readUInt16LE(4) === IPCTNL_MSG_CT.NEW)
    .map((bytes) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(sequence, 8);
      return copy;
    });
}

const stale: StaleUdp = {
  family: 'IPv4',
  address: address('10.96.0.1'),
  port: 53,
  keep: new Set(),
};

/** A kernel that lists the captured entries and deletes what it is told. */
function kernel(more: Script = {}): { io: ScriptedIo; conntrack: Conntrack; deleted: Buffer[] } {
  const deleted: Buffer[] = [];
  const io = new ScriptedIo({
    answer: ({ type, sequence }, bytes) => {
      if (type === IPCTNL_MSG_CT.GET) {
        return [...entries('conntrack-listing', sequence), done(sequence)];
      }
      const request = new MessageCursor(bytes);
      const answers: Buffer[] = [];
      while (request.next()) {
        deleted.push(Buffer.from(attribute(request, CTA.TUPLE_ORIG) ?? []));
        answers.push(acknowledgement(request.sequence));
      }
      return answers;
    },
    ...more,
  });
  return { io, conntrack: Conntrack.open(io), deleted };
}

describe('Reading entries', () => {
  test('tells UDP from TCP and reads both directions', () => {
    const reader = new FlowReader('IPv4');
    const messages = captured('conntrack-listing', '<').map((bytes) => cursor(bytes));
    const udp = messages.filter((message) => reader.read(message));
    assert.equal(messages.filter(({ type }) => type === IPCTNL_MSG_CT.NEW).length, 3);
    assert.equal(udp.length, 1);
    assert.ok(reader.read(udp[0] ?? cursor(undefined)));
    const { original, reply } = reader;
    assert.equal(reader.address(original.sourceStart), '10.0.0.1');
    assert.equal(original.sourcePort, 1000);
    assert.equal(reader.address(original.destinationStart), '10.96.0.1');
    assert.equal(original.destinationPort, 53);
    assert.equal(reader.address(reply.sourceStart), '10.128.0.1');
    assert.equal(reply.sourcePort, 5353);
    assert.equal(reader.zone, undefined);
    assert.notEqual(reader.id, 0);
  });

  test('reads IPv6 with a reader for IPv6, and only with that', () => {
    const [first] = captured('conntrack-listing-ip6', '<');
    assert.ok(!new FlowReader('IPv4').read(cursor(first)));
    const reader = new FlowReader('IPv6');
    assert.ok(reader.read(cursor(first)));
    assert.equal(reader.address(reader.original.destinationStart), 'fd96::1');
    assert.equal(reader.address(reader.reply.sourceStart), 'fd01::1');
  });

  test('stays inside the message or says MALFORMED, whatever bytes changed', () => {
    const real = ['conntrack-listing', 'conntrack-listing-ip6'].flatMap((name) =>
      captured(name, '<'),
    );
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...real),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (original, changes) => {
          const bytes = Buffer.from(original);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          for (const family of ['IPv4', 'IPv6'] as const) {
            const reader = new FlowReader(family);
            try {
              const message = new MessageCursor(bytes);
              while (message.next()) {
                if (!reader.read(message)) continue;
                assert.ok(reader.original.destinationStart + 4 <= message.end);
                assert.ok(reader.tupleEnd <= message.end);
              }
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

describe('Requests', () => {
  test('to list everything are those of conntrack(8)', () => {
    const [theirs] = captured('conntrack-listing-ip6', '>');
    const writer = new NetlinkWriter();
    writeList(writer, theirs?.readUInt32LE(8) ?? 0, 'IPv6', undefined);
    assert.deepEqual(Buffer.from(writer.written()), theirs);
  });

  test('to delete name the entry as conntrack(8) does, and add its id', () => {
    const theirs = cursor(captured('conntrack-delete', '>').at(-1));
    const tuple = attribute(theirs, CTA.TUPLE_ORIG) ?? Buffer.alloc(0);
    const writer = new NetlinkWriter();
    writeDelete(writer, 9, { family: 'IPv4', tuple, id: 0x1234, zone: undefined });
    const ours = cursor(Buffer.from(writer.written()));
    assert.equal(ours.type, theirs.type);
    assert.equal(ours.flags, theirs.flags);
    assert.deepEqual(attribute(ours, CTA.TUPLE_ORIG), tuple);
    assert.deepEqual(attribute(ours, CTA.ID), Buffer.from('00001234', 'hex'));
    assert.equal(attribute(ours, CTA.ZONE), undefined);
  });

  test('let the kernel compare address and port in IPv4, but never the address in IPv6', () => {
    const filter = { destinationPort: 53, destination: stale.address };
    const writer = new NetlinkWriter();
    writeList(writer, 1, 'IPv4', filter);
    const v4 = cursor(Buffer.from(writer.written()));
    // Protocol 8, destination address 2, destination port 32.
    assert.equal(attribute(v4, CTA.FILTER)?.readUInt32LE(4), 42);
    writer.reset();
    writeList(writer, 1, 'IPv6', { ...filter, destination: address('fd96::1') });
    const v6 = cursor(Buffer.from(writer.written()));
    assert.equal(attribute(v6, CTA.FILTER)?.readUInt32LE(4), 40);
  });
});

describe('Deleting stale UDP entries', () => {
  test('deletes the UDP entry to that destination and not the TCP one', async () => {
    const { conntrack, deleted } = kernel();
    assert.equal(await conntrack.deleteStaleUdp([stale]), 1);
    assert.deepEqual(deleted, [
      attribute(cursor(captured('conntrack-delete', '>').at(-1)), CTA.TUPLE_ORIG),
    ]);
  });

  test('leaves entries that lead to a place to keep, to no place in question, or elsewhere', async () => {
    const { conntrack, deleted, io } = kernel();
    const cases: readonly StaleUdp[] = [
      { ...stale, keep: new Set(['10.128.0.1:5353']) },
      { ...stale, only: new Set(['10.128.0.2:5353']) },
      { ...stale, port: 54 },
      { ...stale, address: address('10.96.0.2') },
    ];
    for (const item of cases) assert.equal(await conntrack.deleteStaleUdp([item]), 0);
    assert.equal(deleted.length, 0);
    assert.equal(io.sent.length, cases.length);
    assert.equal(
      await conntrack.deleteStaleUdp([{ ...stale, only: new Set(['10.128.0.1:5353']) }]),
      1,
    );
  });

  test('asks for nothing when there is nothing to delete', async () => {
    const { conntrack, io } = kernel();
    assert.equal(await conntrack.deleteStaleUdp([]), 0);
    assert.equal(io.sent.length, 0);
  });

  test('asks once for many destinations', async () => {
    const { conntrack, io, deleted } = kernel();
    const destinations = [{ ...stale, port: 1 }, { ...stale, port: 2 }, stale];
    assert.equal(await conntrack.deleteStaleUdp(destinations), 1);
    assert.equal(io.sent.length, 2);
    assert.equal(deleted.length, 1);
  });

  test('does not count entries that went away meanwhile', async () => {
    const { conntrack } = kernel({
      answer: ({ type, sequence }) =>
        type === IPCTNL_MSG_CT.GET
          ? [...entries('conntrack-listing', sequence), done(sequence)]
          : [acknowledgement(sequence, ENOENT)],
    });
    assert.equal(await conntrack.deleteStaleUdp([stale]), 0);
  });

  test('says when a deletion is refused', async () => {
    const { conntrack } = kernel({
      answer: ({ type, sequence }) =>
        type === IPCTNL_MSG_CT.GET
          ? [...entries('conntrack-listing', sequence), done(sequence)]
          : [acknowledgement(sequence, EPERM)],
    });
    await assert.rejects(conntrack.deleteStaleUdp([stale]), (error) =>
      isKernelError(error, 'SY_KERNEL_PERMISSION'),
    );
  });

  test('lists without a filter, from then on, where the kernel refuses one', async () => {
    const filtered: boolean[] = [];
    const { conntrack } = kernel({
      answer: (request) => {
        const { type, sequence } = request;
        if (type !== IPCTNL_MSG_CT.GET) return [acknowledgement(sequence)];
        const hasFilter = attribute(request, CTA.FILTER) !== undefined;
        filtered.push(hasFilter);
        return hasFilter
          ? [acknowledgement(sequence, EINVAL)]
          : [...entries('conntrack-listing', sequence), done(sequence)];
      },
    });
    assert.equal(await conntrack.deleteStaleUdp([stale]), 1);
    assert.equal(await conntrack.deleteStaleUdp([stale]), 1);
    assert.deepEqual(filtered, [true, false, false]);
  });

  test('on a kernel without conntrack says so', async () => {
    const { conntrack } = kernel({
      answer: ({ sequence }) => [acknowledgement(sequence, EINVAL)],
    });
    await assert.rejects(
      conntrack.deleteStaleUdp([stale]),
      (error) =>
        isKernelError(error, 'SY_KERNEL_UNSUPPORTED') && /CONFIG_NF_CT_NETLINK/.test(error.message),
    );
  });

  test('calls made at once run one after the other, and close waits for them', async () => {
    const { io, conntrack } = kernel();
    const calls = [conntrack.deleteStaleUdp([stale]), conntrack.listUdp('IPv4')];
    conntrack.close();
    assert.deepEqual(io.closed, []);
    const [deleted, flows] = await Promise.all(calls);
    assert.equal(deleted, 1);
    assert.deepEqual(flows, [
      {
        source: '10.0.0.1:1000',
        destination: '10.96.0.1:53',
        replySource: '10.128.0.1:5353',
        replyDestination: '10.0.0.1:1000',
      },
    ]);
    await assert.rejects(conntrack.listUdp('IPv4'), (error) =>
      isKernelError(error, 'SY_KERNEL_CLOSED'),
    );
    assert.deepEqual(io.closed, [7]);
  });
});
