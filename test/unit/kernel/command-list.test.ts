/** Lists of commands that take effect one by one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CommandList } from '../../../src/kernel/netlink/command-list.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { ScriptedIo, acknowledgement } from './scripted-io.ts';

const TYPE = 30;
const CREATE = 0x400;
const ENOENT = 2;
const ACK = 4;

function listOf(count: number): CommandList<string> {
  const list = new CommandList<string>();
  for (let index = 0; index < count; index++) {
    list.add(`command ${index}`, TYPE, CREATE, (writer) => {
      writer.u32(1, index);
    });
  }
  return list;
}

/** A kernel that refuses the commands with these numbers, by the value of their attribute. */
function kernel(...refused: number[]): { io: ScriptedIo; socket: NetlinkSocket } {
  const io = new ScriptedIo({
    answer: (_, bytes) => {
      const requests = new MessageCursor(bytes);
      const answers: Buffer[] = [];
      while (requests.next()) {
        const isRefused = refused.includes(bytes.readUInt32LE(requests.start + 4));
        if (isRefused) answers.push(acknowledgement(requests.sequence, ENOENT, 'no'));
        else if ((requests.flags & ACK) !== 0) answers.push(acknowledgement(requests.sequence));
      }
      return answers;
    },
  });
  return { io, socket: NetlinkSocket.open(io, { protocol: 0, name: 'test' }) };
}

/** Everything sent, message by message. */
function messages(io: ScriptedIo): { type: number; flags: number; value: number }[] {
  return io.sent.flatMap((bytes) => {
    const found = [];
    const cursor = new MessageCursor(bytes);
    while (cursor.next()) {
      const value = bytes.readUInt32LE(cursor.start + 4);
      found.push({ type: cursor.type, flags: cursor.flags, value });
    }
    return found;
  });
}

describe('A list of commands', () => {
  test('is sent in order and in parts, whose last commands ask for the answer', async () => {
    const { io, socket } = kernel();
    assert.deepEqual(await listOf(130).send(socket, 'testing'), []);
    const sent = messages(io);
    assert.deepEqual(
      sent.map(({ value }) => value),
      Array.from({ length: 130 }, (_, index) => index),
    );
    assert.equal(io.sent.length, 3);
    const asking = sent.filter(({ flags }) => (flags & ACK) !== 0).map(({ value }) => value);
    assert.deepEqual(asking, [63, 127, 129]);
    assert.ok(sent.every(({ type, flags }) => type === TYPE && (flags & CREATE) !== 0));
  });

  test('tells which commands were refused, in every part, and sends the others', async () => {
    const { io, socket } = kernel(0, 63, 64, 129);
    const refused = await listOf(130).send(socket, 'testing');
    assert.deepEqual(
      refused.map(({ command, refusal }) => `${command}: ${refusal.errno} ${refusal.message}`),
      ['command 0: 2 no', 'command 63: 2 no', 'command 64: 2 no', 'command 129: 2 no'],
    );
    assert.equal(messages(io).length, 130);
  });

  test('lets other work have its turn between parts', async () => {
    const { socket } = kernel();
    let turns = 0;
    const timer = setImmediate(function again() {
      turns++;
      if (turns < 10) setImmediate(again);
    });
    await listOf(200).send(socket, 'testing');
    clearImmediate(timer);
    assert.ok(turns >= 3, String(turns));
  });

  test('goes in smaller parts while the kernel takes long', async () => {
    const { io, socket } = kernel();
    // Two looks at the clock a part: the first three parts take 60 ms each, the others no time.
    let looks = 0;
    const now = (): number => 60 * Math.min(Math.ceil(looks++ / 2), 3);
    await listOf(64 + 32 + 16 + 8 + 16 + 5).send(socket, 'testing', undefined, now);
    const sizes = io.sent.map((bytes) => bytes.length / (io.sent[0]?.length ?? 0));
    assert.deepEqual(
      sizes.map((size) => size * 64),
      [64, 32, 16, 8, 16, 5],
    );
  });

  test('can get its type when it is sent', async () => {
    const { io, socket } = kernel();
    await listOf(2).send(socket, 'testing', 99);
    assert.deepEqual(
      messages(io).map(({ type }) => type),
      [99, 99],
    );
  });

  test('stays as it was when a command cannot be written', async () => {
    const { io, socket } = kernel();
    const list = listOf(1);
    assert.throws(() => {
      list.add('bad', TYPE, 0, (writer) => {
        writer.u32(1, 7);
        throw new Error('no');
      });
    }, /no/);
    assert.equal(list.length, 1);
    await list.send(socket, 'testing');
    assert.equal(messages(io).length, 1);
  });

  test('is empty after a reset', async () => {
    const { io, socket } = kernel();
    const list = listOf(3);
    list.reset();
    assert.equal(list.length, 0);
    await list.send(socket, 'testing');
    assert.equal(io.sent.length, 0);
  });
});
