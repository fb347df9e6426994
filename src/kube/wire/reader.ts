/** What the readers of both wire formats have in common. */
import { WireFault, malformed } from './fault.ts';

/** What a list says of itself. */
export interface ListMeta {
  /** Such as `ServiceList`, or `Status`. */
  readonly kind: string;
  /** `''` when there is none. */
  readonly resourceVersion: string;
  /** Where the next page starts; `''` on the last one. */
  readonly continue: string;
}

/** Reads the body of a LIST while it arrives. */
export interface ListReader {
  /**
   * Takes the next bytes; calls back for each complete item.
   * @throws WireFault.
   */
  push(chunk: Buffer): void;
  /**
   * The body is complete.
   * @throws WireFault.
   */
  end(): ListMeta;
}

/** One event of a watch. */
export interface WireEvent {
  /** `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`. */
  readonly type: string;
  /** Kind of the object. */
  readonly kind: string;
  /** The object as a plain value. */
  readonly value: unknown;
}

/** Reads the body of a WATCH while it arrives. */
export interface WatchReader {
  /**
   * Takes the next bytes; calls back for each complete event.
   * @throws WireFault.
   */
  push(chunk: Buffer): void;
  /**
   * The server ended the body.
   * @throws WireFault truncated: in the middle of an event.
   */
  end(): void;
}

/** Most bytes of one object. etcd holds none of more than a few MB. */
const MAX_OBJECT = 8 * 1024 * 1024;
/** Most bytes of one answer to a LIST. Items are used as they arrive, so it need not fit into memory. */
const MAX_LIST = 1024 * 1024 * 1024;

/**
 * Checks the size of an object, or what has arrived of it.
 * @throws WireFault too-large.
 */
export function checkObjectSize(bytes: number): void {
  if (bytes > MAX_OBJECT) throw tooLarge('one object', MAX_OBJECT);
}

/**
 * Checks the size of what has arrived of a list.
 * @throws WireFault too-large.
 */
export function checkListSize(bytes: number): void {
  if (bytes > MAX_LIST) throw tooLarge('one list', MAX_LIST);
}

/**
 * Parses JSON.
 * @throws WireFault malformed.
 */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw malformed(`${quote(bytes)} is no JSON`);
  }
}

/** The start of some bytes, for a message. */
export function quote(bytes: Buffer): string {
  const shown = 60;
  const text = bytes.toString('utf8', 0, shown);
  return JSON.stringify(bytes.length > shown ? `${text}…` : text);
}

function tooLarge(what: string, limit: number): WireFault {
  return new WireFault('too-large', `${what} has more than ${limit >> 20} MiB`);
}

/** A text, `''` for anything else. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
