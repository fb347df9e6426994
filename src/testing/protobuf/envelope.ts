/**
 * What the API server puts around protobuf messages: `k8s\0` and `runtime.Unknown` (pkg/runtime/types_proto.go), and around
 * those in a watch the message `meta/v1.WatchEvent` behind its length (pkg/util/framer).
 */
import { bytesOf } from './decode.ts';
import { BackwardWriter, DELIMITED } from './writer.ts';

export interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

const MAGIC = Buffer.from('k8s\0');

const shared = new BackwardWriter();

/** Writes everything that is in front of a message of that size, and everything behind it. */
function wrapping(type: TypeMeta, size: number): readonly [Buffer, Buffer] {
  shared.text(4, '');
  shared.text(3, '');
  const behind = shared.take();
  shared.varint(size);
  shared.tag(2, DELIMITED);
  const before = shared.length;
  shared.text(2, type.kind);
  shared.text(1, type.apiVersion);
  shared.enclose(1, before);
  shared.raw(MAGIC);
  return [shared.take(), behind];
}

/** The bytes of an answer, from the pieces of its message. */
export function unknown(type: TypeMeta, message: readonly Buffer[]): Buffer {
  let size = 0;
  for (const piece of message) size += piece.length;
  const [front, behind] = wrapping(type, size);
  return Buffer.concat([front, ...message, behind]);
}

/** One frame of a watch: four bytes of length, the highest first, and the event. */
export function watchFrame(event: string, type: TypeMeta, message: Buffer): Buffer {
  shared.bytes(1, unknown(type, [message]));
  shared.enclose(2, 0);
  shared.text(1, event);
  const body = shared.take();
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, 4);
  return frame;
}

/** Tag and length in front of a field that holds a message or text. */
export function fieldHeader(field: number, size: number): Buffer {
  shared.varint(size);
  shared.tag(field, DELIMITED);
  return shared.take();
}

/** The message inside of a request's body, or `undefined` if it does not begin as one. Throws a RangeError if it is broken. */
export function unwrap(
  body: Buffer,
): { readonly type: TypeMeta; readonly message: Buffer } | undefined {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const content = body.subarray(MAGIC.length);
  const type = bytesOf(content, 1);
  return {
    type: { apiVersion: bytesOf(type, 1).toString(), kind: bytesOf(type, 2).toString() },
    message: bytesOf(content, 2),
  };
}
