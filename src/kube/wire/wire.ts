/** The two formats an API server speaks, and their readers. */
import { JsonListReader } from './json-list.ts';
import { JsonWatchReader } from './json-watch.ts';
import { type Message, shareTexts } from './message.ts';
import { ProtobufListReader, ProtobufWatchReader } from './protobuf-body.ts';
import type { ListReader, WatchReader, WireEvent } from './reader.ts';
import type { StringPool } from './string-pool.ts';

/** How an API server writes objects. */
export type WireFormat = 'json' | 'protobuf';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const JSON_TYPE = 'application/json';

/** What to ask for: the format that is wanted; with protobuf, JSON where a server has nothing else. */
export const ACCEPT: Readonly<Record<WireFormat, string>> = {
  json: JSON_TYPE,
  protobuf: `${PROTOBUF},${JSON_TYPE}`,
};

/** The format that a Content-Type names; `undefined` for any other. */
export function formatOf(contentType: string | undefined): WireFormat | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === JSON_TYPE) return 'json';
  return type === PROTOBUF ? 'protobuf' : undefined;
}

/** Reads a LIST of objects that `message` describes. */
export function listReader(
  format: WireFormat,
  message: Message,
  pool: StringPool,
  onItem: (value: unknown) => void,
): ListReader {
  if (format === 'protobuf') return new ProtobufListReader(message, pool, onItem);
  return new JsonListReader((value) => {
    shareTexts(value, message, pool);
    onItem(value);
  });
}

/** Reads a WATCH of objects that `message` describes. */
export function watchReader(
  format: WireFormat,
  message: Message,
  pool: StringPool,
  onEvent: (event: WireEvent) => void,
): WatchReader {
  if (format === 'protobuf') return new ProtobufWatchReader(message, pool, onEvent);
  return new JsonWatchReader((event) => {
    shareTexts(event.value, message, pool);
    onEvent(event);
  });
}
