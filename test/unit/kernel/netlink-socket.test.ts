/** Requests, acknowledgements, dumps and failures of NetlinkSocket, against a made-up kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type KernelErrorCode, isKernelError } from '../../../src/kernel/errors.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { ScriptedIo, type Script, acknowledgement, done, message } from './scripted-io.ts';

const EINTR = 4;
const EPERM = 1;
const ENOENT = 2;
const EAGAIN = 11;
const EINVAL = 22;
const EMSGSIZE = 90;
const EPROTONOSUPPORT = 93;
const ENOBUFS = 105;
const DUMP_INTR = 0x10;
const DATA = 20;

function open(script: Script = {}): { io: ScriptedIo; socket: NetlinkSocket } {
  const io = new ScriptedIo(script);
  const socket = NetlinkSocket.open(io, { protocol: 12, name: 'test', sendBytes: 1 << 20 });
  return { io, socket };
}

function code(expected: KernelErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isKernelError(error, expected), String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

/** Payloads of the messages a dump visits. */
function dumped(socket: NetlinkSocket): number[] {
  const found: number[] = [];
  socket.dump(
    (sequence) => message(18, sequence),
    'listing things',
    (entry) => found.push(entry.bytes.readUInt32LE(entry.start)),
  );
  return found;
}

function item(sequence: number, value: number, flags = 0): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(value);
  return message(DATA, sequence, payload, flags);
}

describe('Opening a netlink socket', () => {
  test('sets a timeout, extended acknowledgements and forced buffers', () => {
    const { io, socket } = open({ sendBuffer: 1000 });
    const set = io.options.map(({ level, option }) => `${level}:${option}`);
    assert.deepEqual(set, ['1:20', '270:10', '270:11', '1:32']);
    assert.equal(io.options[0]?.value.readBigInt64LE(0), 5n);
    assert.equal(socket.sendLimit, 968);
  });

  test('falls back to the limited send buffer without the right to force it', () => {
    const { io } = open({ refusedOptions: new Map([[32, EPERM]]) });
    assert.equal(io.options.at(-1)?.option, 7);
    assert.equal(io.options.at(-1)?.value.readInt32LE(0), 1 << 20);
  });

  test('goes on without extended acknowledgements on kernels that lack them', () => {
    open({
      refusedOptions: new Map([
        [10, EINVAL],
        [11, EINVAL],
      ]),
    });
  });

  test('says when the kernel lacks the protocol, and what to do', () => {
    assert.throws(
      () => open({ socket: -EPROTONOSUPPORT }),
      code('SY_KERNEL_UNSUPPORTED', /opening a test socket: .*EPROTONOSUPPORT.*kernel/),
    );
  });

  test('closes the descriptor when it cannot be bound', () => {
    const io = new ScriptedIo({ bind: -EPERM });
    assert.throws(
      () => NetlinkSocket.open(io, { protocol: 0, name: 'test' }),
      code('SY_KERNEL_PERMISSION', /CAP_NET_ADMIN/),
    );
    assert.deepEqual(io.closed, [7]);
  });
});

describe('An exchange', () => {
  const request = message(18, 1);

  test('ends with the acknowledgement of the last message', () => {
    const { io, socket } = open({ answer: () => [acknowledgement(2)] });
    assert.deepEqual(socket.exchange(request, 1, 2, 'testing'), []);
    assert.equal(io.waits, 1);
  });

  test('collects every refusal, with the words of the kernel', () => {
    const { socket } = open({
      answer: () => [
        Buffer.concat([acknowledgement(1, ENOENT, 'no such thing'), acknowledgement(2)]),
        acknowledgement(3, EINVAL),
      ],
    });
    const refusals = socket.exchange(request, 1, 3, 'testing');
    assert.deepEqual(
      refusals.map(({ sequence, errno, message: words }) => [sequence, errno, words]),
      [
        [1, ENOENT, 'no such thing'],
        [3, EINVAL, undefined],
      ],
    );
  });

  test('ends without the last acknowledgement once something was refused and nothing more comes', () => {
    const { io, socket } = open({ answer: () => [acknowledgement(1, EINVAL)] });
    assert.equal(socket.exchange(request, 1, 5, 'testing').length, 1);
    // It did not wait for what will never come.
    assert.equal(io.waits, 1);
  });

  test('skips what an earlier exchange left behind', () => {
    const { socket } = open({
      answer: () => [acknowledgement(3, EINVAL), message(DATA, 4), acknowledgement(11)],
    });
    assert.deepEqual(socket.exchange(request, 10, 11, 'testing'), []);
  });

  test('goes on after a signal', () => {
    const { socket } = open({ answer: () => [-EINTR, -EINTR, acknowledgement(1)] });
    assert.deepEqual(socket.exchange(request, 1, 1, 'testing'), []);
  });

  test('times out when the kernel is silent', () => {
    const { socket } = open();
    assert.throws(
      () => socket.exchange(request, 1, 1, 'testing'),
      code('SY_KERNEL_TIMEOUT', /^testing: no answer in time/),
    );
  });

  test('says what to do when answers were lost', () => {
    const { socket } = open({ answer: () => [-ENOBUFS] });
    assert.throws(
      () => socket.exchange(request, 1, 1, 'testing'),
      code('SY_KERNEL_BUFFER', /rmem_max/),
    );
  });

  test('says how much the send buffer takes when a message is larger', () => {
    const { socket } = open({ answer: () => -EMSGSIZE, sendBuffer: 1032 });
    assert.throws(
      () => socket.exchange(message(18, 1, Buffer.alloc(1984)), 1, 1, 'testing'),
      code('SY_KERNEL_BUFFER', /2000 bytes where the socket takes 1000: .*wmem_max/),
    );
  });

  test('refuses a datagram cut to the size of the buffer', () => {
    const { socket } = open({ answer: () => [Buffer.alloc(1 << 20)] });
    assert.throws(() => socket.exchange(request, 1, 1, 'testing'), code('SY_KERNEL_MALFORMED'));
  });
});

describe('A question', () => {
  test('is answered by the message with its number', () => {
    const { socket } = open({
      answer: ({ sequence }) => [item(sequence - 1, 1), item(sequence, 2), item(sequence, 3)],
    });
    const found: number[] = [];
    const sequence = socket.sequences(1);
    socket.query(message(18, sequence), sequence, 'asking', (answer) => {
      found.push(answer.bytes.readUInt32LE(answer.start));
    });
    assert.deepEqual(found, [2]);
  });

  test('that is refused throws in the words of the kernel', () => {
    const { socket } = open({
      answer: ({ sequence }) => [acknowledgement(sequence, EPERM, 'not you')],
    });
    const sequence = socket.sequences(1);
    assert.throws(
      () => socket.query(message(18, sequence), sequence, 'asking', () => assert.fail()),
      code('SY_KERNEL_PERMISSION', /asking: .*EPERM.*not you.*CAP_NET_ADMIN/),
    );
  });
});

describe('A dump', () => {
  test('visits its messages, over several datagrams, and nothing else', () => {
    const { socket } = open({
      answer: ({ sequence }) => [
        Buffer.concat([item(sequence, 1), item(sequence + 5, 99), item(sequence, 2)]),
        item(sequence, 3),
        done(sequence),
      ],
    });
    assert.deepEqual(dumped(socket), [1, 2, 3]);
  });

  test('disturbed by a change starts over and visits each message once', () => {
    let attempts = 0;
    const { socket } = open({
      answer: ({ sequence }) => {
        attempts++;
        return attempts < 3
          ? [item(sequence, 1), item(sequence, 9, DUMP_INTR), done(sequence)]
          : [item(sequence, 1), done(sequence)];
      },
    });
    assert.deepEqual(dumped(socket), [1]);
    assert.equal(attempts, 3);
  });

  test('is disturbed as well when only its end says so', () => {
    let attempts = 0;
    const { socket } = open({
      answer: ({ sequence }) => {
        attempts++;
        return [item(sequence, 1), done(sequence, 0, attempts === 1 ? DUMP_INTR : 0)];
      },
    });
    assert.deepEqual(dumped(socket), [1]);
    assert.equal(attempts, 2);
  });

  test('disturbed every time gives up', () => {
    const { socket } = open({
      answer: ({ sequence }) => [item(sequence, 1, DUMP_INTR), done(sequence)],
    });
    assert.throws(() => dumped(socket), code('SY_KERNEL_INTERRUPTED', /listing things/));
  });

  test('throws what ended it, at its start or later', () => {
    const refused = open({ answer: ({ sequence }) => [acknowledgement(sequence, ENOENT)] });
    assert.throws(() => dumped(refused.socket), code('SY_KERNEL_NOT_FOUND', /listing things/));
    const later = open({
      answer: ({ sequence }) => [item(sequence, 1), done(sequence, ENOBUFS)],
    });
    assert.throws(() => dumped(later.socket), code('SY_KERNEL_BUFFER'));
  });

  test('that never ends times out', () => {
    const { socket } = open({ answer: ({ sequence }) => [item(sequence, 1), -EAGAIN] });
    assert.throws(() => dumped(socket), code('SY_KERNEL_TIMEOUT'));
  });

  test('on another thread visits while it arrives', async () => {
    const { socket } = open({
      answer: ({ sequence }) => [item(sequence, 1), -EINTR, item(sequence, 2), done(sequence)],
    });
    const found: number[] = [];
    const isWhole = await socket.dumpAsync(
      (sequence) => message(18, sequence),
      'listing things',
      (entry) => found.push(entry.bytes.readUInt32LE(entry.start)),
    );
    assert.deepEqual(found, [1, 2]);
    assert.ok(isWhole);
  });

  test('on another thread throws what the kernel says', async () => {
    const { socket } = open({ answer: ({ sequence }) => [acknowledgement(sequence, EPERM)] });
    const dump = socket.dumpAsync(
      (sequence) => message(18, sequence),
      'listing',
      () => undefined,
    );
    await assert.rejects(dump, code('SY_KERNEL_PERMISSION'));
  });
});

describe('Sequence numbers', () => {
  test('run on, never 0, and start over before 32 bits are full', () => {
    const { socket } = open();
    assert.equal(socket.sequences(3), 1);
    assert.equal(socket.sequences(1), 4);
    assert.equal(socket.sequences(0xffff_fff0), 5);
    assert.equal(socket.sequences(100), 1);
  });
});

describe('A closed socket', () => {
  test('is closed once and refuses work', () => {
    const { io, socket } = open();
    socket.close();
    socket.close();
    assert.deepEqual(io.closed, [7]);
    assert.throws(
      () => socket.send(Buffer.alloc(1), 'testing'),
      code('SY_KERNEL_CLOSED', /testing/),
    );
    assert.throws(() => socket.receive(false, 'testing'), code('SY_KERNEL_CLOSED'));
  });
});
