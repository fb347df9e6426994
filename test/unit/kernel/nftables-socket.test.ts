/** How NftSocket tells failures, against a made-up kernel. The real one is in test/netns/kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type KernelErrorCode, isKernelError } from '../../../src/kernel/errors.ts';
import { NftBatch } from '../../../src/kernel/nftables/batch.ts';
import { NFT_MSG } from '../../../src/kernel/nftables/constants.ts';
import { NftSocket } from '../../../src/kernel/nftables/socket.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { type Script, ScriptedIo, acknowledgement, done, message } from './scripted-io.ts';

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ERESTART = 85;
const EOPNOTSUPP = 95;

function open(script: Script): { io: ScriptedIo; socket: NftSocket } {
  const io = new ScriptedIo(script);
  return { io, socket: NftSocket.open(io) };
}

function error(code: KernelErrorCode, pattern: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(isKernelError(thrown, code), String(thrown));
    assert.match(thrown.message, pattern);
    return true;
  };
}

/** Adds a table (first message) and two elements of a set (second message). */
function sampleBatch(): NftBatch {
  const batch = new NftBatch();
  batch.addTable('IPv4', 't');
  batch.addElement('IPv4', 't', 's', Uint8Array.of(1, 2, 3, 4));
  batch.addElement('IPv4', 't', 's', Uint8Array.of(5, 6, 7, 8));
  return batch;
}

/** NFT_MSG_NEWSETELEM with one element, whose key ends in this number. */
function elementMessage(sequence: number, number: number): Buffer {
  const batch = new NftBatch();
  batch.addElement('IPv4', 't', 's', Uint8Array.of(10, 0, 0, number));
  const sent = new MessageCursor(Buffer.from(batch.encode(1).bytes));
  while (sent.next() && sent.type !== NFT_MSG.NEWSETELEM);
  return message(NFT_MSG.NEWSETELEM, sequence, sent.bytes.subarray(sent.start, sent.end));
}

/** NFT_MSG_NEWSET of the set `s` in table `t`. */
function setMessage(sequence: number): Buffer {
  return message(
    NFT_MSG.NEWSET,
    sequence,
    Buffer.from('0200000006000100740000000600020073000000', 'hex'),
  );
}

/** How many keys of four bytes a request for elements of set `s` in table `t` holds. */
function keysIn(request: Buffer): number {
  // Header 16, nfgenmsg 4, two names of 8, list header 4, 16 for each key.
  return (request.length - 40) / 16;
}

/** A refusal that says where in the message the fault is. */
function refusalAt(sequence: number, errno: number, offset: number): Buffer {
  const payload = Buffer.alloc(4 + 16 + 8);
  payload.writeInt32LE(-errno, 0);
  payload.writeUInt16LE(8, 20);
  payload.writeUInt16LE(2, 22);
  payload.writeUInt32LE(offset, 24);
  return message(2, sequence, payload, 0x300);
}

/** A kernel that has the elements with these numbers, and whether it has the set at all. */
function having(numbers: readonly number[], hasSet: boolean): Script {
  return {
    answer: ({ sequence, type }, bytes) => {
      if (type === NFT_MSG.GETSET)
        return hasSet ? [setMessage(sequence), done(sequence)] : [done(sequence)];
      const answers: Buffer[] = [];
      // Keys are the last four bytes of each element.
      for (let end = bytes.length - 16 * (keysIn(bytes) - 1); end <= bytes.length; end += 16) {
        const number = bytes.readUInt8(end - 1);
        if (!numbers.includes(number)) return [...answers, acknowledgement(sequence, ENOENT)];
        answers.push(elementMessage(sequence, number));
      }
      return [...answers, acknowledgement(sequence)];
    },
  };
}

describe('A commit', () => {
  test('goes out in one piece, numbered from its first message', () => {
    const { io, socket } = open({ answer: ({ sequence }) => [acknowledgement(sequence + 2)] });
    socket.commit(sampleBatch());
    assert.equal(io.sent.length, 1);
    const sent = new MessageCursor(io.sent[0] ?? Buffer.alloc(0));
    const sequences: number[] = [];
    while (sent.next()) sequences.push(sent.sequence);
    const [first = 0] = sequences;
    assert.deepEqual(sequences, [first, first + 1, first + 2, first + 3]);
    socket.commit(sampleBatch());
    assert.ok((io.sent[1]?.readUInt32LE(8) ?? 0) > first + 3);
  });

  test('of nothing sends nothing', () => {
    const { io, socket } = open({});
    socket.commit(new NftBatch());
    assert.equal(io.sent.length, 0);
  });

  test('that is refused is told by the first operation refused, and how many more', () => {
    const { socket } = open({
      answer: ({ sequence }) => [
        acknowledgement(sequence + 1, EEXIST, 'there it is'),
        acknowledgement(sequence + 2, ENOENT),
      ],
    });
    assert.throws(
      () => {
        socket.commit(sampleBatch());
      },
      error(
        'SY_KERNEL_EXISTS',
        /^adding table ip t \(and 1 more of the same batch\): .*EEXIST.*there it is/,
      ),
    );
  });

  test('names the element when the kernel says which', () => {
    // Header 16, nfgenmsg 4, table and set names 8 each, list header 4, first element 16.
    const { socket } = open({
      answer: ({ sequence }) => [refusalAt(sequence + 2, ENOENT, 16 + 4 + 8 + 8 + 4 + 16)],
    });
    assert.throws(
      () => {
        socket.commit(sampleBatch());
      },
      error('SY_KERNEL_NOT_FOUND', /^adding element 05060708 to set ip t s: not found \(ENOENT\)/),
    );
  });

  test('in a stale generation is told apart', () => {
    const { io, socket } = open({
      answer: ({ sequence }) => [acknowledgement(sequence, ERESTART)],
    });
    assert.throws(
      () => {
        socket.commit(sampleBatch(), 77);
      },
      error('SY_KERNEL_STALE_GENERATION', /changed by somebody else.*Read it again and retry/),
    );
    // BATCH_BEGIN with NFNL_BATCH_GENID.
    assert.equal(io.sent[0]?.readUInt32LE(0), 28);
    assert.equal(io.sent[0].readUInt32BE(24), 77);
  });

  test('failing as a whole is not blamed on an operation', () => {
    const { socket } = open({
      answer: ({ sequence }) => [acknowledgement(sequence, EINVAL), acknowledgement(sequence + 2)],
    });
    assert.throws(
      () => {
        socket.commit(sampleBatch());
      },
      error('SY_KERNEL_CALL', /^committing 3 nf_tables operations: /),
    );
  });

  test('on a kernel without nf_tables says so', () => {
    const { socket } = open({
      answer: ({ sequence }) => [acknowledgement(sequence, EOPNOTSUPP)],
    });
    assert.throws(
      () => {
        socket.commit(sampleBatch());
      },
      error('SY_KERNEL_UNSUPPORTED', /no nf_tables.*CONFIG_NF_TABLES/),
    );
  });
});

describe('The generation', () => {
  test('is read from the answer', () => {
    const { socket } = open({
      answer: ({ sequence }) => [
        message(NFT_MSG.NEWGEN, sequence, Buffer.from('00000000080001000000002a', 'hex')),
      ],
    });
    assert.equal(socket.generation(), 42);
  });

  test('on a kernel without nf_tables says so', () => {
    const { socket } = open({ answer: ({ sequence }) => [acknowledgement(sequence, EINVAL)] });
    assert.throws(() => socket.generation(), error('SY_KERNEL_UNSUPPORTED', /no nf_tables/));
  });
});

describe('Elements asked for by key', () => {
  const keys = [1, 2, 3, 4].map((number) => Uint8Array.of(10, 0, 0, number));

  function found(socket: NftSocket): number[] {
    const numbers: number[] = [];
    socket.findElements('IPv4', 't', 's', keys, ({ bytes, keyEnd }) => {
      numbers.push(bytes.readUInt8(keyEnd - 1));
    });
    return numbers;
  }

  test('are found wherever others are missing', () => {
    for (const numbers of [[1, 2, 3, 4], [1, 4], [2, 3], [4], []]) {
      assert.deepEqual(found(open(having(numbers, true)).socket), numbers);
    }
  });

  test('of a missing set are NOT_FOUND', () => {
    const { socket } = open(having([], false));
    assert.throws(
      () => found(socket),
      error('SY_KERNEL_NOT_FOUND', /reading elements of set ip t s/),
    );
  });
});

describe('Listings', () => {
  test('of what is missing are empty, but elements need their set', () => {
    const { socket } = open({ answer: ({ sequence }) => [acknowledgement(sequence, ENOENT)] });
    assert.deepEqual(socket.sets('IPv4', 'missing'), []);
    assert.throws(
      () => socket.elements('IPv6', 'missing', 's'),
      error('SY_KERNEL_NOT_FOUND', /listing elements of set ip6 missing s/),
    );
  });

  test('of elements are made again when the kernel repeats some and leaves out others', () => {
    let attempts = 0;
    const { socket } = open({
      answer: ({ sequence }) => {
        attempts++;
        const second = attempts < 3 ? 1 : 2;
        return [elementMessage(sequence, 1), elementMessage(sequence, second), done(sequence)];
      },
    });
    const keys = socket.elements('IPv4', 't', 's').map(({ key }) => key[3]);
    assert.deepEqual(keys, [1, 2]);
    assert.equal(attempts, 3);
  });

  test('of elements that never come right are given up, and nothing is visited', () => {
    const { socket } = open({
      answer: ({ sequence }) => [
        Buffer.concat([elementMessage(sequence, 1), elementMessage(sequence, 1)]),
        done(sequence),
      ],
    });
    assert.throws(
      () => {
        socket.eachElement('IPv4', 't', 's', () => assert.fail('visited'));
      },
      error('SY_KERNEL_INTERRUPTED', /listing elements of set ip t s/),
    );
  });

  test('with damaged messages are refused', () => {
    const broken = Buffer.from('02000000ff00010061', 'hex');
    const { socket } = open({
      answer: ({ sequence, type }) => [
        message(type === NFT_MSG.GETSET ? NFT_MSG.NEWSET : type - 1, sequence, broken),
        done(sequence),
      ],
    });
    const lists: readonly (() => unknown)[] = [
      () => socket.tables('IPv4'),
      () => socket.chains('IPv4', 't'),
      () => socket.rules('IPv4', 't'),
      () => socket.sets('IPv4', 't'),
      () => socket.elements('IPv4', 't', 's'),
    ];
    for (const list of lists) assert.throws(list, error('SY_KERNEL_MALFORMED', /attribute of 255/));
  });

  test('with datagrams that are cut short are refused', () => {
    const { socket } = open({
      answer: ({ sequence }) => [message(NFT_MSG.NEWTABLE, sequence).subarray(0, 18)],
    });
    assert.throws(() => socket.tables('IPv4'), error('SY_KERNEL_MALFORMED', /where 18 are left/));
  });
});
