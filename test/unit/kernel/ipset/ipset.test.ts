/** What is said to ipset and read from it, against ipset(8), the kernel, and a made-up kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Address, type Cidr, parseAddress, parseCidr } from '../../../../src/core/ip.ts';
import { type KernelErrorCode, isKernelError } from '../../../../src/kernel/errors.ts';
import { IPSET_CMD } from '../../../../src/kernel/ipset/constants.ts';
import { readListing } from '../../../../src/kernel/ipset/read.ts';
import { ipsetError } from '../../../../src/kernel/ipset/refusals.ts';
import type { ElementInfo, SetDefinition, SetType } from '../../../../src/kernel/ipset/sets.ts';
import { IpsetBatch, IpsetSocket, formatElement } from '../../../../src/kernel/ipset/socket.ts';
import { writeElement } from '../../../../src/kernel/ipset/write.ts';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.ts';
import {
  type Omissions,
  capturedOfType,
  cursor,
  survivesDamage,
  withUnknown,
  without,
} from '../captured-messages.ts';
import { type Answer, ScriptedIo, acknowledgement } from '../scripted-io.ts';

const EINVAL = 22;
const HASH_FULL = 4352;
const NFGENMSG = 4;

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function define<T extends SetType>(name: string, type: T): SetDefinition<T> {
  return { name, type, family: 'IPv4' };
}

/** A kernel that does what it is told, unless `errno` says otherwise for a message. */
function open(errno: (index: number) => number = () => 0): { io: ScriptedIo; socket: IpsetSocket } {
  const io = new ScriptedIo({
    answer: (_, bytes) => {
      const requests = new MessageCursor(bytes);
      const answers: Answer[] = [];
      for (let index = 0; requests.next(); index++) {
        answers.push(acknowledgement(requests.sequence, errno(index)));
      }
      return answers;
    },
  });
  return { io, socket: IpsetSocket.open(io) };
}

function nothing(): void {
  // Elements that do not matter.
}

function isArgument(error: unknown): boolean {
  return isKernelError(error, 'SY_KERNEL_ARGUMENT');
}

function lastSent(io: ScriptedIo): Buffer {
  return io.sent.at(-1) ?? assert.fail();
}

/**
 * Our message and theirs without what may differ: the version of protocol and set type, and the line
 * number that ipset gives every element.
 */
function assertSame(ours: Buffer, theirs: Buffer | undefined): void {
  const versions: Omissions = new Map<number, 'all' | ReadonlySet<number>>([
    [1, 'all'],
    [4, 'all'],
    [7, new Set([9])],
  ]);
  const sequence = ours.readUInt32LE(8);
  assert.deepEqual(
    without(ours, sequence, NFGENMSG, versions),
    without(theirs ?? assert.fail(), sequence, NFGENMSG, versions),
  );
}

describe('Sets are made as ipset makes them:', () => {
  const theirs = capturedOfType('ipset-commands', '>', IPSET_CMD.CREATE);
  const v6 = { family: 'IPv6' } as const;
  const sets: readonly SetDefinition[] = [
    { ...define('ip4', 'hash:ip'), hashSize: 1024, maxElements: 65_536 },
    { ...define('ip6', 'hash:ip'), ...v6, timeout: 60, counters: true, comments: true },
    { ...define('net4', 'hash:net'), hashSize: 64 },
    { ...define('ipport', 'hash:ip,port'), maxElements: 1000 },
    { ...define('ipport6', 'hash:ip,port'), ...v6 },
    define('ipportip', 'hash:ip,port,ip'),
    define('ipportnet', 'hash:ip,port,net'),
    define('netnet', 'hash:net,net'),
    define('ports', 'bitmap:port'),
  ];
  for (const [index, set] of sets.entries()) {
    test(`${set.name}, ${set.type}`, () => {
      const { io, socket } = open();
      socket.create(set);
      assertSame(lastSent(io), theirs[index]);
    });
  }
});

describe('Elements are changed as ipset changes them:', () => {
  const { io, socket } = open();
  const ip6 = { ...define('ip6', 'hash:ip'), family: 'IPv6' } as const;
  const web = { ip: address('10.96.0.1'), protocol: 'TCP', port: 80 } as const;
  const added: readonly ((batch: IpsetBatch) => void)[] = [
    (batch): void => {
      batch.add(define('ip4', 'hash:ip'), { ip: address('10.96.0.1') });
    },
    (batch): void => {
      batch.add(ip6, { ip: address('fd96::1'), timeout: 30, comment: 'one address' });
    },
    (batch): void => {
      batch.add(define('net4', 'hash:net'), { net: cidr('10.0.0.0/8') });
    },
    (batch): void => {
      batch.add(define('net4', 'hash:net'), { net: cidr('10.1.0.0/16'), except: true });
    },
    (batch): void => {
      const range = { ip: address('192.168.0.0'), ipTo: address('192.168.2.255') };
      batch.add(define('net4', 'hash:net'), range);
    },
    (batch): void => {
      batch.add(define('ipport', 'hash:ip,port'), web);
    },
    (batch): void => {
      const dns = { ip: address('fd96::1'), protocol: 'UDP', port: 53 } as const;
      batch.add(define('ipport6', 'hash:ip,port'), dns);
    },
    (batch): void => {
      const ip = address('10.128.0.1');
      const set = define('ipportip', 'hash:ip,port,ip');
      batch.add(set, { ip, protocol: 'SCTP', port: 9, ip2: ip });
    },
    (batch): void => {
      batch.add(define('ipportnet', 'hash:ip,port,net'), { ...web, net2: cidr('10.0.0.0/8') });
    },
    (batch): void => {
      const nets = { net: cidr('10.0.0.0/8'), net2: cidr('192.168.0.0/16') };
      batch.add(define('netnet', 'hash:net,net'), nets);
    },
    (batch): void => {
      batch.add(define('ports', 'bitmap:port'), { port: 30_080 });
    },
  ];
  const deleted: readonly ((batch: IpsetBatch) => void)[] = [
    (batch): void => {
      batch.delete(define('ip4', 'hash:ip'), { ip: address('10.96.0.1') });
    },
    (batch): void => {
      batch.delete(define('ipportnet', 'hash:ip,port,net'), { ...web, net2: cidr('10.0.0.0/8') });
    },
  ];
  for (const [verb, type, fills] of [
    ['add', IPSET_CMD.ADD, added],
    ['del', IPSET_CMD.DEL, deleted],
  ] as const) {
    const theirs = capturedOfType('ipset-commands', '>', type);
    for (const [index, fill] of fills.entries()) {
      const batch = new IpsetBatch();
      fill(batch);
      test(`${verb} ${index}`, async () => {
        assert.deepEqual(await socket.commit(batch), []);
        assertSame(lastSent(io), theirs[index]);
      });
    }
  }
});

describe('Sets are changed as ipset changes them:', () => {
  const { io, socket } = open();
  const calls: readonly (readonly [string, number, () => void])[] = [
    [
      'rename',
      IPSET_CMD.RENAME,
      (): void => {
        socket.rename('ip4', 'renamed');
      },
    ],
    [
      'swap',
      IPSET_CMD.SWAP,
      (): void => {
        socket.swap('renamed', 'other');
      },
    ],
    [
      'flush',
      IPSET_CMD.FLUSH,
      (): void => {
        socket.flush('net4');
      },
    ],
  ];
  for (const [name, type, call] of calls) {
    test(name, () => {
      call();
      assertSame(lastSent(io), capturedOfType('ipset-commands', '>', type)[0]);
    });
  }

  test('destroy, but for a flag that the kernel does not read', () => {
    socket.destroy('ports');
    const [theirs] = capturedOfType('ipset-commands', '>', IPSET_CMD.DESTROY);
    const expected = Buffer.from(theirs ?? assert.fail());
    expected.writeUInt16LE(expected.readUInt16LE(6) & ~0x200, 6);
    assertSame(lastSent(io), expected);
  });
});

/** The elements of a captured set. */
function listed(name: string): ElementInfo[] {
  for (const bytes of capturedOfType('ipset-listing', '<', IPSET_CMD.LIST)) {
    const elements: ElementInfo[] = [];
    const set = readListing(cursor(bytes), (element) => elements.push(element));
    if (set?.name === name) return elements;
  }
  return assert.fail(name);
}

describe('Listings of the kernel', () => {
  test('tell sets with their options', () => {
    const sets = capturedOfType('ipset-listing', '<', IPSET_CMD.LIST).map((bytes) =>
      readListing(cursor(bytes), nothing),
    );
    assert.deepEqual(
      sets.map((set) => set && `${set.name} ${set.type} ${set.family}`),
      [
        'renamed hash:ip IPv4',
        'ip6 hash:ip IPv6',
        'net4 hash:net IPv4',
        'ipport hash:ip,port IPv4',
        'ipport6 hash:ip,port IPv6',
        'ipportip hash:ip,port,ip IPv4',
        'ipportnet hash:ip,port,net IPv4',
        'netnet hash:net,net IPv4',
        'other hash:ip IPv4',
      ],
    );
    const { memory, ...ip6 } = sets[1] ?? assert.fail();
    assert.ok(memory > 0);
    assert.deepEqual(ip6, {
      name: 'ip6',
      type: 'hash:ip',
      family: 'IPv6',
      revision: 5,
      timeout: 60,
      counters: true,
      comments: true,
      marks: false,
      maxElements: 65_536,
      hashSize: 1024,
      elementCount: 1,
      references: 0,
    });
    assert.equal(sets[2]?.timeout, undefined);
    assert.equal(sets[2]?.counters, false);
  });

  test('tell elements with their parts', () => {
    const [{ timeout, ...ip6 }] = listed('ip6') as [ElementInfo];
    assert.ok(timeout !== undefined && timeout <= 30);
    assert.deepEqual(ip6, { ip: 'fd96::1', comment: 'one address', packets: 0, bytes: 0 });
    assert.deepEqual(listed('ipport'), [{ ip: '10.96.0.1', protocol: 'TCP', port: 80 }]);
    const twice = { ip: '10.128.0.1', ip2: '10.128.0.1' };
    assert.deepEqual(listed('ipportip'), [{ ...twice, protocol: 'SCTP', port: 9 }]);
    const nets = { net: cidr('10.0.0.0/8'), net2: cidr('192.168.0.0/16') };
    assert.deepEqual(listed('netnet'), [nets]);
    assert.deepEqual(listed('renamed'), []);
  });

  test('may have attributes that nobody knows', () => {
    for (const bytes of capturedOfType('ipset-listing', '<', IPSET_CMD.LIST)) {
      const known = readListing(cursor(bytes), nothing);
      assert.deepEqual(readListing(cursor(withUnknown(bytes)), nothing), known);
    }
  });

  test('give MALFORMED or values when damaged, never anything else', () => {
    survivesDamage(capturedOfType('ipset-listing', '<', IPSET_CMD.LIST), (message) =>
      readListing(message, nothing),
    );
  });
});

test('elements are read as they were written', () => {
  const anyPort = fc.integer({ min: 0, max: 0xffff });
  const prefix = fc.integer({ min: 1, max: 32 });
  const ip = fc.ipV4().map((text) => address(text));
  const net = fc.tuple(ip, prefix).map(([base, bits]) => cidr(`${base}/${bits}`));
  const element = fc.record(
    {
      ip: fc.oneof(
        ip,
        fc.constantFrom('::1', 'fd96::1').map((text) => address(text)),
      ),
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
      port: anyPort,
      net2: net,
      except: fc.constant(true),
      timeout: fc.nat(),
      comment: fc.stringMatching(/^[a-z ]{1,50}$/),
    },
    { noNullPrototype: true, requiredKeys: ['ip'] },
  );
  fc.assert(
    fc.property(element, (wanted) => {
      const writer = new NetlinkWriter();
      writer.begin(IPSET_CMD.LIST, 0, 0);
      writer.nfgenmsg(2, 0);
      const list = writer.beginNested(8);
      writeElement(writer, wanted);
      writer.endNested(list);
      writer.end();
      const found: ElementInfo[] = [];
      readListing(cursor(Buffer.from(writer.written())), (each) => found.push(each));
      assert.deepEqual(found, [wanted]);
    }),
  );
});

describe('Refusals', () => {
  test('of elements are told by set and element, in words', async () => {
    const full = open((index) => (index === 1 ? HASH_FULL : 0));
    const batch = new IpsetBatch();
    const set = define('web', 'hash:ip,port,net');
    for (const port of [80, 443]) {
      const key = { ip: address('10.96.0.1'), protocol: 'TCP', port } as const;
      batch.add(set, { ...key, net2: cidr('10.0.0.0/8') });
    }
    const refused = await full.socket.commit(batch);
    assert.equal(refused.length, 1);
    assert.equal(refused[0]?.error.code, 'SY_KERNEL_SET_FULL');
    assert.equal(
      refused[0].error.message,
      'adding 10.96.0.1,tcp:443,10.0.0.0/8 to ipset web: the set is full (IPSET_ERR_HASH_FULL). Make the set again with a larger maxelem.',
    );
  });

  test('have the codes and names of ip_set.h', () => {
    const expected: readonly (readonly [number, string, KernelErrorCode, string])[] = [
      [4097, 'hash:ip', 'SY_KERNEL_CALL', 'PROTOCOL'],
      [4098, 'hash:ip', 'SY_KERNEL_UNSUPPORTED', 'FIND_TYPE'],
      [4100, 'hash:ip', 'SY_KERNEL_BUSY', 'BUSY'],
      [4103, 'hash:ip', 'SY_KERNEL_CALL', 'EXIST'],
      [4108, 'hash:ip', 'SY_KERNEL_BUSY', 'REFERENCED'],
      [4114, 'hash:ip', 'SY_KERNEL_CALL', 'SKBINFO'],
      [4352, 'hash:net', 'SY_KERNEL_SET_FULL', 'HASH_FULL'],
      [4352, 'bitmap:port', 'SY_KERNEL_CALL', 'BITMAP_RANGE'],
      [4357, 'hash:net', 'SY_KERNEL_CALL', 'HASH_RANGE'],
    ];
    for (const [errno, type, code, name] of expected) {
      const error = ipsetError('testing', errno, undefined, type);
      assert.equal(error.code, code);
      assert.match(error.message, new RegExp(`^testing: .*\\(IPSET_ERR_${name}\\)`));
    }
    assert.match(ipsetError('x', 2, undefined, '').message, /^x: not found \(ENOENT\)/);
    assert.equal(ipsetError('x', 4999, undefined, '').message, 'x: error 4999');
  });

  test('of the version mean that the kernel has no ipset', () => {
    const { socket } = open(() => EINVAL);
    assert.throws(
      () => socket.protocol(),
      (error) => {
        assert.ok(isKernelError(error, 'SY_KERNEL_UNSUPPORTED'), String(error));
        assert.match(error.message, /load the module ip_set/);
        return true;
      },
    );
  });

  test('come before anything is sent for names and comments that cannot be', () => {
    const { io, socket } = open();
    for (const name of ['', 'a'.repeat(32), 'a\0b']) {
      assert.throws(() => {
        socket.flush(name);
      }, isArgument);
    }
    const batch = new IpsetBatch();
    for (const comment of ['a"b', 'ä'.repeat(128)]) {
      assert.throws(() => {
        batch.add(define('s', 'hash:ip'), { ip: address('10.0.0.1'), comment });
      }, isArgument);
    }
    assert.equal(batch.length, 0);
    assert.equal(io.sent.length, 0);
  });
});

test('elements are spelled as ipset spells them', () => {
  assert.equal(formatElement({ ip: address('fd96::1') }), 'fd96::1');
  assert.equal(formatElement({ port: 80 }), '80');
  assert.equal(
    formatElement({ net: cidr('10.0.0.0/8'), net2: cidr('1.2.3.4/32') }),
    '10.0.0.0/8,1.2.3.4',
  );
  const ip = address('10.0.0.1');
  assert.equal(
    formatElement({ ip, protocol: 'UDP', port: 53, ip2: ip }),
    '10.0.0.1,udp:53,10.0.0.1',
  );
  assert.equal(formatElement({ ip, ipTo: '10.0.0.9' }), '10.0.0.1-10.0.0.9');
});
