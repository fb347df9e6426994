import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { type Listing, Listings } from '../../../src/kernel/netlink/listings.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { type Answer, ScriptedIo, acknowledgement, done, message } from './scripted-io.ts';

const DUMP = 0x301;
const DISTURBED = 0x12;
const EPERM = 1;

/** A kernel that answers the requests, which are counted from 0, and the listings over it. */
function open(answers: (sequence: number, request: number) => readonly Answer[]) {
  const io: ScriptedIo = new ScriptedIo({
    answer: ({ sequence }) => answers(sequence, io.sent.length - 1),
  });
  let opened = 0;
  const listings = new Listings(() => {
    opened += 1;
    return NetlinkSocket.open(io, { protocol: 16, name: 'test' });
  });
  return { io, listings, opened: () => opened };
}

function entry(sequence: number, value: number, flags = 0): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(value);
  return message(33, sequence, payload, flags);
}

const values: Listing<number> = {
  doing: 'listing values',
  write: (request, sequence) => {
    request.begin(33, DUMP, sequence);
    request.end();
  },
  read: ({ bytes, start }, found) => {
    found.push(bytes.readUInt32LE(start));
  },
};

describe('Listings', () => {
  test('go one after the other over one socket, which is opened when it is needed', async () => {
    const { io, listings, opened } = open((sequence, request) => [
      entry(sequence, request * 10),
      entry(sequence, request * 10 + 1),
      done(sequence),
    ]);
    assert.equal(opened(), 0);
    const both = await Promise.all([listings.list(values), listings.list(values)]);
    assert.deepEqual(both, [
      [0, 1],
      [10, 11],
    ]);
    assert.equal(io.sent.length, 2);
    assert.equal(opened(), 1);
  });

  test('start again when changes disturb them, and keep nothing of before', async () => {
    const { io, listings } = open((sequence, request) => [
      entry(sequence, request, request < 2 ? DISTURBED : 0),
      done(sequence),
    ]);
    assert.deepEqual(await listings.list(values), [2]);
    assert.equal(io.sent.length, 3);
  });

  test('give up when changes do not end', async () => {
    const { io, listings } = open((sequence) => [entry(sequence, 1, DISTURBED), done(sequence)]);
    await assert.rejects(listings.list(values), (error) =>
      isKernelError(error, 'SY_KERNEL_INTERRUPTED'),
    );
    assert.equal(io.sent.length, 10);
  });

  test('go on after one has failed', async () => {
    const { io, listings } = open((sequence, request) =>
      request === 0 ? [acknowledgement(sequence, EPERM)] : [entry(sequence, 7), done(sequence)],
    );
    const [first, second] = await Promise.allSettled([
      listings.list(values),
      listings.list(values),
    ]);
    assert.equal(first.status, 'rejected');
    assert.deepEqual(second, { status: 'fulfilled', value: [7] });
    assert.equal(io.closed.length, 1, 'the rest of what was asked is not in the way');
  });

  test('under way are ended before the socket is closed', async () => {
    const { io, listings } = open((sequence) => [entry(sequence, 7), done(sequence)]);
    const list = listings.list(values);
    listings.close();
    assert.deepEqual(await list, [7]);
    await assert.rejects(listings.list(values), (error) =>
      isKernelError(error, 'SY_KERNEL_CLOSED'),
    );
    listings.close();
    assert.equal(io.closed.length, 1);
    assert.equal(io.sent.length, 1);
  });
});
