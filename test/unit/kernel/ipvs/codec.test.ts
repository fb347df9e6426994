/** Messages of IPVS, against those of ipvsadm and of the kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isKernelError } from '../../../../src/kernel/errors.ts';
import { IPVS_CMD, IPVS_STATS_ATTR } from '../../../../src/kernel/ipvs/constants.ts';
import { readInfo, readReal, readTimeouts, readVirtual } from '../../../../src/kernel/ipvs/read.ts';
import { type VirtualServerInfo, familyOfVirtual } from '../../../../src/kernel/ipvs/servers.ts';
import { IpvsBatch } from '../../../../src/kernel/ipvs/socket.ts';
import { writeReal, writeVirtual } from '../../../../src/kernel/ipvs/write.ts';
import type { MessageCursor } from '../../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.ts';
import { capturedOfType, cursor, survivesDamage, withUnknown } from '../captured-messages.ts';
import { address, anyReal, anyServer, real, roundRobin } from './values.ts';

const FAMILY = 28;
const HEADERS = 20;

/** What the kernel said, by command. */
function answers(command: number): Buffer[] {
  return capturedOfType('ipvs-listing', '<', FAMILY).filter((bytes) => bytes[16] === command);
}

function payload(write: (writer: NetlinkWriter) => void): MessageCursor {
  const writer = new NetlinkWriter();
  writer.begin(FAMILY, 0, 0);
  writer.genlmsghdr(IPVS_CMD.NEW_SERVICE, 1);
  write(writer);
  writer.end();
  return cursor(Buffer.from(writer.written()));
}

function virtualAt(text: string, port: number): VirtualServerInfo {
  const found = answers(IPVS_CMD.NEW_SERVICE)
    .map((bytes) => readVirtual(cursor(bytes)))
    .find(
      (server) =>
        server !== undefined &&
        'address' in server.name &&
        server.name.address === text &&
        server.name.port === port,
    );
  assert.ok(found !== undefined);
  return found;
}

describe('Virtual servers as the kernel lists them', () => {
  test('have address, scheduler, flags and persistence', () => {
    assert.deepEqual(virtualAt('10.96.0.1', 9).scheduling, {
      ...roundRobin,
      scheduler: 'mh',
      schedulerFlags: 3,
    });
    assert.deepEqual(virtualAt('10.96.0.1', 9).name, {
      protocol: 'SCTP',
      address: '10.96.0.1',
      port: 9,
    });
    assert.deepEqual(virtualAt('10.96.0.1', 53).scheduling, {
      ...roundRobin,
      scheduler: 'wlc',
      persistence: { seconds: 10_800, prefix: 24 },
    });
    assert.deepEqual(virtualAt('fd96::1', 80).scheduling, {
      ...roundRobin,
      scheduler: 'lc',
      persistence: { seconds: 60, prefix: 64 },
    });
    assert.deepEqual(virtualAt('10.96.0.2', 53).scheduling, {
      ...roundRobin,
      scheduler: 'sh',
      schedulerFlags: 2,
      onePacket: true,
    });
    assert.equal(virtualAt('10.96.0.3', 5060).scheduling.persistenceEngine, 'sip');
  });

  test('may have a firewall mark instead of an address', () => {
    const names = answers(IPVS_CMD.NEW_SERVICE).map((bytes) => readVirtual(cursor(bytes))?.name);
    assert.deepEqual(
      names.find((name) => name !== undefined && 'mark' in name),
      { mark: 7, family: 'IPv4' },
    );
  });

  test('have counters', () => {
    const { stats } = virtualAt('10.96.0.4', 53);
    assert.equal(stats.connections, 1);
    assert.equal(stats.inPackets, 1);
    assert.equal(stats.inBytes, 20 + 8 + 6);
    assert.equal(virtualAt('10.96.0.1', 9).stats.connections, 0);
  });

  test('of a protocol or family that no Service has are passed over', () => {
    const [first] = answers(IPVS_CMD.NEW_SERVICE);
    assert.ok(first !== undefined);
    const family = Buffer.from(first);
    family[HEADERS + 4 + 4] = 1;
    assert.equal(readVirtual(cursor(family)), undefined);
    const protocol = Buffer.from(first);
    protocol[HEADERS + 4 + 8 + 4] = 1;
    assert.equal(readVirtual(cursor(protocol)), undefined);
  });
});

describe('Real servers as the kernel lists them', () => {
  const reals = answers(IPVS_CMD.NEW_DEST).map((bytes) => readReal(cursor(bytes), 'IPv4'));

  test('have address, weight and forwarding', () => {
    const found = reals.map((each) =>
      each === undefined ? '' : `${each.address} ${each.port} ${each.forwarding} ${each.weight}`,
    );
    assert.deepEqual(found.toSorted(), [
      '10.128.0.9 0 route 1',
      '127.0.0.1 5353 masquerade 3',
      '::1 5353 masquerade 1',
      'fd01::1 8080 masquerade 0',
    ]);
  });

  test('have connections and counters', () => {
    const used = reals.find((each) => each?.weight === 3);
    assert.equal(used?.inactiveConnections, 1);
    assert.equal(used.activeConnections, 0);
    assert.equal(used.persistentConnections, 1);
    assert.equal(used.stats.inBytes, 34);
  });
});

/** Nested counters. */
function counted(attribute: 10 | 12, write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter();
  const nested = writer.beginNested(attribute);
  write(writer);
  writer.endNested(nested);
  return writer;
}

/** A virtual server with these counters. */
function serverWith(...stats: NetlinkWriter[]): MessageCursor {
  return payload((writer) => {
    const nested = writer.beginNested(1);
    writer.u16(1, 2);
    writer.u32(5, 7);
    for (const each of stats) writer.raw(each.written());
    writer.endNested(nested);
  });
}

function isMalformed(error: unknown): boolean {
  return isKernelError(error, 'SY_KERNEL_MALFORMED');
}

describe('Counters', () => {
  const old = counted(10, (writer) => {
    writer.u32(IPVS_STATS_ATTR.CONNS, 5);
    writer.bytes(IPVS_STATS_ATTR.INBYTES, Buffer.from('0000000001000000', 'hex'));
  });
  const recent = counted(12, (writer) => {
    writer.bytes(IPVS_STATS_ATTR.CONNS, Buffer.from('0500000001000000', 'hex'));
  });

  test('of 32 bits are taken from kernels that have no others', () => {
    const stats = readVirtual(serverWith(old))?.stats;
    assert.equal(stats?.connections, 5);
    assert.equal(stats.inBytes, 2 ** 32);
    assert.equal(stats.outBytes, 0);
  });

  test('of 64 bits go before, in whatever order they come', () => {
    for (const message of [serverWith(old, recent), serverWith(recent, old)]) {
      assert.equal(readVirtual(message)?.stats.connections, 2 ** 32 + 5);
    }
  });
});

test('timeouts and version are those that ipvsadm shows', () => {
  const [info] = answers(14);
  const [config] = answers(IPVS_CMD.SET_CONFIG);
  assert.ok(info !== undefined && config !== undefined);
  assert.deepEqual(readInfo(cursor(info)), { version: '1.2.1', connectionTableSize: 4096 });
  assert.deepEqual(readTimeouts(cursor(config)), { tcp: 900, tcpFin: 120, udp: 300 });
});

describe('What is written', () => {
  test('is read as the same virtual server', () => {
    fc.assert(
      fc.property(anyServer, ([name, scheduling]) => {
        const message = payload((writer) => {
          writeVirtual(writer, name, scheduling);
        });
        const found = readVirtual(message);
        assert.deepEqual(found?.name, name);
        assert.deepEqual(found.scheduling, scheduling);
      }),
    );
  });

  test('is read as the same real server', () => {
    fc.assert(
      fc.property(anyReal, (wanted) => {
        const message = payload((writer) => {
          writeReal(writer, wanted);
        });
        const { activeConnections, inactiveConnections, persistentConnections, stats, ...found } =
          readReal(message, 'IPv4') ?? assert.fail();
        assert.deepEqual(found, wanted);
        assert.equal(activeConnections + inactiveConnections + persistentConnections, 0);
        assert.equal(stats.connections, 0);
      }),
    );
  });
});

describe('Unknown and damaged', () => {
  const readers: readonly ((message: MessageCursor) => unknown)[] = [
    readVirtual,
    (message) => readReal(message, 'IPv4'),
    readTimeouts,
    readInfo,
  ];

  test('attributes are passed over', () => {
    for (const bytes of answers(IPVS_CMD.NEW_SERVICE)) {
      assert.deepEqual(readVirtual(cursor(withUnknown(bytes))), readVirtual(cursor(bytes)));
    }
  });

  test('messages give MALFORMED or values, never anything else', () => {
    const messages = capturedOfType('ipvs-listing', '<', FAMILY);
    for (const read of readers) survivesDamage(messages, read);
  });

  test('messages without what they are about are MALFORMED', () => {
    const empty = payload(() => undefined);
    assert.throws(() => readVirtual(empty), isMalformed);
    assert.throws(() => readReal(empty, 'IPv4'), isMalformed);
  });
});

describe('A batch refuses', () => {
  const web = { protocol: 'TCP', address: address('10.96.0.1'), port: 80 } as const;
  const refused: readonly (readonly [string, (batch: IpvsBatch) => void, RegExp])[] = [
    [
      'a scheduler name that the kernel would cut',
      (batch) => {
        batch.addVirtual(web, { ...roundRobin, scheduler: 'a-name-too-long-for-it' });
      },
      /^scheduler must have 1 to 15/,
    ],
    [
      'an empty scheduler name',
      (batch) => {
        batch.addVirtual(web, { ...roundRobin, scheduler: '' });
      },
      /^scheduler must have/,
    ],
    [
      'flags that no scheduler has',
      (batch) => {
        batch.addVirtual(web, { ...roundRobin, schedulerFlags: 8 });
      },
      /^scheduler flags must be/,
    ],
    [
      'a prefix longer than the address',
      (batch) => {
        batch.addVirtual(web, { ...roundRobin, persistence: { seconds: 1, prefix: 33 } });
      },
      /must be 1 to 32, not 33/,
    ],
    [
      'a negative weight',
      (batch) => {
        batch.addReal(web, real('10.128.0.1', 80, { weight: -1 }));
      },
      /^-1 is not an integer/,
    ],
    [
      'a port out of range',
      (batch) => {
        batch.addReal(web, real('10.128.0.1', 65_536));
      },
      /^65536 is not an integer/,
    ],
  ];
  for (const [what, add, pattern] of refused) {
    test(`${what}, and stays as it was`, () => {
      const batch = new IpvsBatch();
      batch.addVirtual(web, roundRobin);
      assert.throws(
        () => {
          add(batch);
        },
        (error) => {
          assert.ok(isKernelError(error, 'SY_KERNEL_ARGUMENT'), String(error));
          assert.match(error.message, pattern);
          return true;
        },
      );
      assert.equal(batch.length, 1);
    });
  }
});

test('the family of a virtual server is that of its address or mark', () => {
  fc.assert(
    fc.property(anyServer, ([name]) => {
      const family = familyOfVirtual(name);
      if ('mark' in name) assert.equal(family, name.family);
      else assert.equal(family === 'IPv6', name.address.includes(':'));
    }),
  );
});
