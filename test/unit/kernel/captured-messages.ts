/** Captured messages, made comparable with what is written here. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import { captured } from '../../fixtures/netlink/hex.ts';

const NLMSG_HEADER = 16;

/** Attributes to leave out: by type, all of it, or some of those inside. */
export type Omissions = ReadonlyMap<number, 'all' | ReadonlySet<number>>;

/** The messages of one direction that have this type. */
export function capturedOfType(name: string, direction: '>' | '<', type: number): Buffer[] {
  return captured(name, direction).filter((bytes) => bytes.readUInt16LE(4) === type);
}

/** A message under a cursor. */
export function cursor(bytes: Buffer): MessageCursor {
  const message = new MessageCursor(bytes);
  assert.ok(message.next());
  return message;
}

/**
 * A message with another sequence number and without some attributes.
 * @param header Length of the subsystem's own header.
 */
export function without(
  message: Buffer,
  sequence: number,
  header: number,
  omit: Omissions = new Map(),
): Buffer {
  const start = NLMSG_HEADER + header;
  const attributes = split(message.subarray(start)).flatMap(({ type, bytes }) => {
    const omission = omit.get(type);
    if (omission === 'all') return [];
    if (omission === undefined) return [bytes];
    const inner = split(bytes.subarray(4)).filter((each) => !omission.has(each.type));
    const nested = Buffer.concat([bytes.subarray(0, 4), ...inner.map((each) => each.bytes)]);
    nested.writeUInt16LE(nested.length, 0);
    return [nested];
  });
  const rest = Buffer.concat([message.subarray(0, start), ...attributes]);
  rest.writeUInt32LE(rest.length, 0);
  rest.writeUInt32LE(sequence, 8);
  rest.writeUInt32LE(0, 12);
  return rest;
}

/** Attributes with their padding. */
function split(bytes: Buffer): { readonly type: number; readonly bytes: Buffer }[] {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + ((bytes.readUInt16LE(at) + 3) & ~3);
    found.push({ type: bytes.readUInt16LE(at + 2) & 0x3fff, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}

/** Checks that damaged messages give values or MALFORMED, and nothing else. */
export function survivesDamage(
  messages: readonly Buffer[],
  read: (message: MessageCursor) => unknown,
): void {
  assert.ok(messages.length > 0);
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...messages),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat({ max: 60 }),
      (original, changes, cut) => {
        const bytes = Buffer.from(original.subarray(0, original.length - cut));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          const message = new MessageCursor(bytes);
          while (message.next()) read(message);
        } catch (error) {
          assert.ok(isKernelError(error, 'SY_KERNEL_MALFORMED'), String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
}

/** The message with an attribute behind it that nobody knows. */
export function withUnknown(message: Buffer): Buffer {
  const unknown = Buffer.from('0c00ff3f0102030405060708', 'hex');
  const longer = Buffer.concat([message, unknown]);
  longer.writeUInt32LE(longer.length, 0);
  return longer;
}
