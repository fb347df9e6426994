/**
 * Reads lists, watches and single objects in the protobuf envelope of Kubernetes
 * (k8s.io/apimachinery/pkg/runtime/serializer/protobuf): the bytes `k8s\0`, then a `runtime.Unknown`
 * that holds kind and object. A frame of a watch is a length of 4 bytes, big-endian, and a `WatchEvent`.
 */
import { isFields } from '../../core/decode/fields.ts';
import { ByteQueue } from './byte-queue.ts';
import { WireFault, malformed } from './fault.ts';
import type { Message } from './message.ts';
import { LIST_META, STATUS, TYPE_META, UNKNOWN, WATCH_EVENT } from './messages.ts';
import { readHeader, readMessage } from './protobuf.ts';
import {
  type ListMeta,
  type ListReader,
  type WatchReader,
  type WireEvent,
  checkListSize,
  checkObjectSize,
  quote,
  textOf,
} from './reader.ts';
import type { StringPool } from './string-pool.ts';

const MAGIC = Buffer.from('k8s\0');
/** Bytes a tag and a length can take. */
const HEADER_LENGTH = 20;
const FRAME_HEADER_LENGTH = 4;
/** Field numbers in runtime.Unknown, and in lists. */
const UNKNOWN_TYPE = 1;
const UNKNOWN_RAW = 2;
const LIST_METADATA = 1;
const LIST_ITEMS = 2;

/** Reads a list item by item. */
export class ProtobufListReader implements ListReader {
  readonly #queue = new ByteQueue();
  readonly #message: Message;
  readonly #pool: StringPool;
  readonly #onItem: (value: unknown) => void;
  #length = 0;
  #hasMagic = false;
  /** Bytes of the list that have not been used; 0 in front of and behind it. */
  #left = 0;
  #kind = '';
  #meta: Readonly<Record<string, unknown>> = {};

  constructor(message: Message, pool: StringPool, onItem: (value: unknown) => void) {
    this.#message = message;
    this.#pool = pool;
    this.#onItem = onItem;
  }

  push(chunk: Buffer): void {
    this.#length += chunk.length;
    checkListSize(this.#length);
    this.#queue.push(chunk);
    if (!this.#hasMagic) {
      if (this.#queue.length < MAGIC.length) return;
      checkMagic(this.#queue.take(MAGIC.length));
      this.#hasMagic = true;
    }
    while (this.#next());
  }

  end(): ListMeta {
    if (!this.#hasMagic || this.#left > 0 || this.#queue.length > 0) {
      throw new WireFault('truncated', 'the list ends too early');
    }
    return {
      kind: this.#kind,
      resourceVersion: textOf(this.#meta['resourceVersion']),
      continue: textOf(this.#meta['continue']),
    };
  }

  /** Uses the next field, of the list or around it; false when more bytes are needed. */
  #next(): boolean {
    const header = readHeader(this.#queue.peek(HEADER_LENGTH));
    if (header === undefined) return false;
    const isInList = this.#left > 0;
    if (!isInList && header.number === UNKNOWN_RAW) {
      this.#queue.take(header.start);
      this.#left = header.end - header.start;
      return true;
    }
    checkObjectSize(header.end);
    if (isInList && header.end > this.#left) throw malformed('an item reaches behind its list');
    if (this.#queue.length < header.end) return false;
    const content = this.#queue.take(header.end).subarray(header.start);
    if (isInList) {
      this.#left -= header.end;
      if (header.number === LIST_ITEMS)
        this.#onItem(readMessage(content, this.#message, this.#pool));
      else if (header.number === LIST_METADATA)
        this.#meta = readMessage(content, LIST_META, this.#pool);
    } else if (header.number === UNKNOWN_TYPE) {
      this.#kind = textOf(readMessage(content, TYPE_META, this.#pool)['kind']);
    }
    return true;
  }
}

/** Reads a watch frame by frame. */
export class ProtobufWatchReader implements WatchReader {
  readonly #queue = new ByteQueue();
  readonly #message: Message;
  readonly #pool: StringPool;
  readonly #onEvent: (event: WireEvent) => void;

  constructor(message: Message, pool: StringPool, onEvent: (event: WireEvent) => void) {
    this.#message = message;
    this.#pool = pool;
    this.#onEvent = onEvent;
  }

  push(chunk: Buffer): void {
    this.#queue.push(chunk);
    while (this.#queue.length >= FRAME_HEADER_LENGTH) {
      const length = this.#queue.peek(FRAME_HEADER_LENGTH).readUInt32BE(0);
      checkObjectSize(length);
      if (this.#queue.length < FRAME_HEADER_LENGTH + length) return;
      this.#queue.take(FRAME_HEADER_LENGTH);
      this.#frame(this.#queue.take(length));
    }
  }

  end(): void {
    if (this.#queue.length > 0) throw new WireFault('truncated', 'the last event ends too early');
  }

  #frame(frame: Buffer): void {
    const event = readMessage(frame, WATCH_EVENT, this.#pool);
    const raw = isFields(event['object']) ? event['object']['raw'] : undefined;
    if (!Buffer.isBuffer(raw)) throw malformed('an event has no object');
    const { kind, value } = readObject(raw, this.#message, this.#pool);
    this.#onEvent({ type: textOf(event['type']), kind, value });
  }
}

/**
 * Reads one object: a Status when its kind says so, otherwise `message`.
 * @throws WireFault malformed.
 */
export function readObject(
  bytes: Buffer,
  message: Message,
  pool: StringPool,
): { readonly kind: string; readonly value: unknown } {
  checkMagic(bytes.subarray(0, MAGIC.length));
  const unknown = readMessage(bytes.subarray(MAGIC.length), UNKNOWN, pool);
  const type = isFields(unknown['typeMeta']) ? unknown['typeMeta'] : {};
  const kind = textOf(type['kind']);
  const raw = Buffer.isBuffer(unknown['raw']) ? unknown['raw'] : Buffer.alloc(0);
  return { kind, value: readMessage(raw, kind === 'Status' ? STATUS : message, pool) };
}

function checkMagic(bytes: Buffer): void {
  if (!MAGIC.equals(bytes)) throw malformed(`${quote(bytes)} is not the protobuf of Kubernetes`);
}
