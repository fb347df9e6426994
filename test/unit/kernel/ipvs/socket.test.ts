/** What IpvsSocket says, against ipvsadm; and what it makes of a made-up kernel's answers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isKernelError } from '../../../../src/kernel/errors.ts';
import { IPVS_CMD } from '../../../../src/kernel/ipvs/constants.ts';
import type { VirtualAddress } from '../../../../src/kernel/ipvs/servers.ts';
import { IpvsBatch, IpvsSocket } from '../../../../src/kernel/ipvs/socket.ts';
import { HEADER_LENGTH } from '../../../../src/kernel/netlink/constants.ts';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.ts';
import { captured } from '../../../fixtures/netlink/hex.ts';
import { type Omissions, capturedOfType, without } from '../captured-messages.ts';
import { type Answer, ScriptedIo, acknowledgement, done, message } from '../scripted-io.ts';
import { address, anyReal, real, roundRobin } from './values.ts';

const FAMILY = 28;
const CONTROLLER = 16;
const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const EINVAL = 22;

const web: VirtualAddress = { protocol: 'TCP', address: address('10.96.0.1'), port: 80 };
const web6 = { ...web, address: address('fd96::1') };

/** CTRL_CMD_NEWFAMILY with the number of the family. */
function familyAnswer(sequence: number): Buffer {
  return message(CONTROLLER, sequence, Buffer.from('01020000060001001c000000', 'hex'));
}

/** A kernel with IPVS; `answer` is asked for each of its messages. */
function open(answer: (command: number, sequence: number, index: number) => readonly Answer[]): {
  io: ScriptedIo;
  socket: IpvsSocket;
} {
  const io = new ScriptedIo({
    answer: (first, bytes) => {
      if (first.type === CONTROLLER) return [familyAnswer(first.sequence)];
      const requests = new MessageCursor(bytes);
      const answers: Answer[] = [];
      for (let index = 0; requests.next(); index++) {
        assert.equal(requests.type, FAMILY);
        answers.push(...answer(bytes[requests.start] ?? 0, requests.sequence, index));
      }
      return answers;
    },
  });
  return { io, socket: IpvsSocket.open(io) };
}

/** What is sent for one command. */
async function sent(fill: (batch: IpvsBatch) => void): Promise<Buffer> {
  const { io, socket } = open((_, sequence) => [acknowledgement(sequence)]);
  const batch = new IpvsBatch();
  fill(batch);
  assert.deepEqual(await socket.commit(batch), []);
  return io.sent.at(-1) ?? assert.fail();
}

/** What ipvsadm repeats of the virtual server where only its name counts, and of tunnels. */
const superfluous: Omissions = new Map([
  [1, new Set([6, 7, 8, 9])],
  [2, new Set([13, 14, 15])],
]);
/** The same where only the name of the real server counts. */
const superfluousReal: Omissions = new Map([
  [1, new Set([6, 7, 8, 9])],
  [2, new Set([3, 4, 5, 6, 13, 14, 15])],
]);
const none: Omissions = new Map();

describe('Commands are those of ipvsadm:', () => {
  const mark = { ...roundRobin, persistence: { seconds: 60, prefix: 32 } };
  const commands: readonly (readonly [string, number, Omissions, (batch: IpvsBatch) => void])[] = [
    [
      '-A -t',
      0,
      none,
      (batch) => {
        batch.addVirtual(web, roundRobin);
      },
    ],
    [
      '-A -u, persistent',
      1,
      none,
      (batch) => {
        const persistence = { seconds: 10_800, prefix: 24 };
        const dns = { protocol: 'UDP', address: web.address, port: 53 } as const;
        batch.addVirtual(dns, { ...roundRobin, scheduler: 'wlc', persistence });
      },
    ],
    [
      '-A --sctp-service, flags of mh',
      2,
      none,
      (batch) => {
        const sctp = { protocol: 'SCTP', address: web.address, port: 9 } as const;
        batch.addVirtual(sctp, { ...roundRobin, scheduler: 'mh', schedulerFlags: 3 });
      },
    ],
    [
      '-A -u, one packet',
      3,
      none,
      (batch) => {
        const dns = { protocol: 'UDP', address: address('10.96.0.2'), port: 53 } as const;
        const flags = { scheduler: 'sh', schedulerFlags: 2, onePacket: true };
        batch.addVirtual(dns, { ...roundRobin, ...flags });
      },
    ],
    [
      '-A -t, IPv6',
      4,
      none,
      (batch) => {
        const persistence = { seconds: 60, prefix: 64 };
        batch.addVirtual(web6, { ...roundRobin, scheduler: 'lc', persistence });
      },
    ],
    [
      '-A -u, persistence engine',
      5,
      none,
      (batch) => {
        const sip = { protocol: 'UDP', address: address('10.96.0.3'), port: 5060 } as const;
        batch.addVirtual(sip, { ...mark, persistenceEngine: 'sip' });
      },
    ],
    [
      '-E',
      6,
      none,
      (batch) => {
        batch.setVirtual(web, { ...roundRobin, scheduler: 'wrr' });
      },
    ],
    [
      '-a -m',
      7,
      superfluous,
      (batch) => {
        batch.addReal(web, real('10.128.0.1', 8080));
      },
    ],
    [
      '-a -g, thresholds',
      8,
      superfluous,
      (batch) => {
        const limits = { weight: 5, upperThreshold: 100, lowerThreshold: 50 };
        batch.addReal(web, real('10.128.0.2', 80, { forwarding: 'route', ...limits }));
      },
    ],
    [
      '-a, IPv6',
      9,
      superfluous,
      (batch) => {
        batch.addReal(web6, real('fd01::1', 8080, { weight: 0 }));
      },
    ],
    [
      '-e',
      10,
      superfluous,
      (batch) => {
        batch.setReal(web, real('10.128.0.1', 8080, { weight: 7 }));
      },
    ],
    [
      '-d',
      11,
      superfluousReal,
      (batch) => {
        batch.deleteReal(web, real('10.128.0.1', 8080));
      },
    ],
    [
      '-D',
      12,
      superfluous,
      (batch) => {
        batch.deleteVirtual(web);
      },
    ],
    [
      '-Z -u',
      13,
      superfluous,
      (batch) => {
        batch.zero({ protocol: 'UDP', address: web.address, port: 53 });
      },
    ],
  ];
  // ipvsadm asks for the version before each.
  const theirs = capturedOfType('ipvs-commands', '>', FAMILY).filter(
    (bytes) => bytes[16] !== IPVS_CMD.GET_INFO,
  );
  for (const [name, index, omit, fill] of commands) {
    test(name, async () => {
      const ours = await sent(fill);
      const their = theirs[index] ?? assert.fail();
      assert.deepEqual(ours, without(their, ours.readUInt32LE(8), 4, omit));
    });
  }

  test('-Z', () => {
    const { io, socket } = open((_, sequence) => [acknowledgement(sequence)]);
    socket.zero();
    const ours = io.sent.at(-1) ?? assert.fail();
    assert.deepEqual(ours, without(theirs[14] ?? assert.fail(), ours.readUInt32LE(8), 4));
  });

  test('--set', () => {
    const { io, socket } = open((_, sequence) => [acknowledgement(sequence)]);
    socket.setTimeouts({ tcp: 900, tcpFin: 120, udp: 300 });
    const ours = io.sent.at(-1) ?? assert.fail();
    assert.deepEqual(ours, without(theirs[15] ?? assert.fail(), ours.readUInt32LE(8), 4));
  });

  test('-L', async () => {
    const { io, socket } = open((_, sequence) => [done(sequence)]);
    await socket.virtualServers();
    const dump = io.sent.at(-1) ?? assert.fail();
    const listing = capturedOfType('ipvs-listing', '>', FAMILY);
    const theirDump = listing.find((bytes) => bytes[16] === IPVS_CMD.GET_SERVICE);
    // They ask for an acknowledgement as well, which a listing does not give.
    const flags = 6;
    const expected = without(theirDump ?? assert.fail(), dump.readUInt32LE(8), 4);
    expected.writeUInt16LE(expected.readUInt16LE(flags) & ~4, flags);
    assert.deepEqual(dump, expected);
  });

  test('and so is the question for the family', () => {
    const { io } = open(() => []);
    const ours = io.sent[0] ?? assert.fail();
    const [their] = captured('ipvs-commands', '>');
    const expected = without(their ?? assert.fail(), 1, 4);
    expected.writeUInt16LE(1, 6);
    assert.deepEqual(ours, expected);
  });
});

describe('A kernel without IPVS', () => {
  test('is told with the module to load, and leaves no socket open', () => {
    const io = new ScriptedIo({ answer: ({ sequence }) => [acknowledgement(sequence, ENOENT)] });
    assert.throws(
      () => IpvsSocket.open(io),
      (error) => {
        assert.ok(isKernelError(error, 'SY_KERNEL_UNSUPPORTED'), String(error));
        assert.match(error.message, /IPVS.*modprobe ip_vs\b/);
        return true;
      },
    );
    assert.equal(io.closed.length, 1);
  });

  test('is not what a process without rights sees', () => {
    const io = new ScriptedIo({ answer: ({ sequence }) => [acknowledgement(sequence, EPERM)] });
    assert.throws(
      () => IpvsSocket.open(io),
      (error) => isKernelError(error, 'SY_KERNEL_PERMISSION'),
    );
  });
});

describe('A batch', () => {
  test('goes in parts, with one acknowledgement each', async () => {
    const { io, socket } = open((_, sequence, index) =>
      index === 63 || sequence === 152 ? [acknowledgement(sequence)] : [],
    );
    const batch = new IpvsBatch();
    for (let port = 1; port <= 151; port++) batch.addVirtual({ ...web, port }, roundRobin);
    assert.deepEqual(await socket.commit(batch), []);
    assert.equal(io.sent.length - 1, 3);
  });

  test('can be sent again', async () => {
    const { socket, io } = open((_, sequence) => [acknowledgement(sequence)]);
    const batch = new IpvsBatch();
    batch.deleteVirtual(web);
    await socket.commit(batch);
    await socket.commit(batch);
    const [one, two] = io.sent.slice(-2);
    assert.ok(one !== undefined && two !== undefined);
    assert.deepEqual(two, without(one, two.readUInt32LE(8), 4));
  });

  test('is written as its commands would be one by one', async () => {
    const names = [web, web6, { mark: 7, family: 'IPv4' } as const];
    const command = fc.record({
      name: fc.constantFrom(...names),
      verb: fc.constantFrom('addReal', 'setReal', 'deleteReal', 'deleteVirtual', 'refused'),
      real: anyReal,
      weight: fc.constantFrom(0, 1),
      isPlain: fc.boolean(),
    });
    type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
    const add = (batch: IpvsBatch, { name, verb, real: any, weight, isPlain }: Command): void => {
      const plain = { address: any.address, port: any.port, weight };
      if (verb === 'deleteVirtual') batch.deleteVirtual(name);
      else if (verb !== 'refused') batch[verb](name, isPlain ? plain : any);
      else assert.throws(() => batch.addReal(name, { ...plain, port: 65_536 }), /65536/);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40 }), async (commands) => {
        const alone: Buffer[] = [];
        for (const each of commands) {
          if (each.verb === 'refused') continue;
          alone.push(await sent((batch) => add(batch, each)));
        }
        if (alone.length === 0) return;
        const together = await sent((batch) => {
          for (const each of commands) add(batch, each);
        });
        const messages = new MessageCursor(together);
        for (const single of alone) {
          assert.ok(messages.next());
          const bytes = together.subarray(messages.start, messages.end);
          assert.deepEqual(bytes, single.subarray(HEADER_LENGTH));
        }
        assert.ok(!messages.next());
      }),
      { numRuns: 50 },
    );
  });

  test('without commands sends nothing', async () => {
    const { io, socket } = open(() => []);
    assert.deepEqual(await socket.commit(new IpvsBatch()), []);
    assert.equal(io.sent.length, 1);
  });

  test('tells every refusal by its command', async () => {
    const errors = [EEXIST, 0, ESRCH, ENOENT, ENOENT, ENOENT, EINVAL];
    const { socket } = open((_, sequence, index) => [acknowledgement(sequence, errors[index])]);
    const batch = new IpvsBatch();
    batch.addVirtual(web, roundRobin);
    batch.addVirtual(web6, roundRobin);
    batch.deleteVirtual(web6);
    batch.addVirtual(web6, { ...roundRobin, scheduler: 'nonesuch' });
    batch.setVirtual(web6, { ...roundRobin, persistenceEngine: 'sip' });
    batch.deleteReal(web6, real('fd01::1', 80));
    batch.addReal(web, real('224.0.0.1', 80));
    const refused = await socket.commit(batch);
    assert.deepEqual(
      refused.map(({ error }) => [error.code, error.message.split(' (')[0]]),
      [
        ['SY_KERNEL_EXISTS', 'adding virtual server TCP 10.96.0.1:80: exists already'],
        ['SY_KERNEL_NOT_FOUND', 'deleting virtual server TCP [fd96::1]:80: no such virtual server'],
        [
          'SY_KERNEL_NO_SCHEDULER',
          'adding virtual server TCP [fd96::1]:80: this kernel has no scheduler nonesuch',
        ],
        [
          'SY_KERNEL_NO_SCHEDULER',
          'changing virtual server TCP [fd96::1]:80: this kernel has no scheduler rr, or no persistence engine sip',
        ],
        [
          'SY_KERNEL_NOT_FOUND',
          'deleting real server [fd01::1]:80 of virtual server TCP [fd96::1]:80: not found',
        ],
        [
          'SY_KERNEL_CALL',
          'adding real server 224.0.0.1:80 of virtual server TCP 10.96.0.1:80: the kernel takes its address for no unicast address',
        ],
      ],
    );
    assert.equal(refused[1]?.command.verb, 'deleting');
  });
});
