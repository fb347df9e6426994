/** Reads a JSON watch: one document a line, `{ "type": …, "object": … }`. */
import { isFields } from '../../core/decode/fields.ts';
import { WireFault, malformed } from './fault.ts';
import {
  type WatchReader,
  type WireEvent,
  checkObjectSize,
  parseJson,
  quote,
  textOf,
} from './reader.ts';

const NEWLINE = 0x0a;

/** Calls back with each event. Bytes are split before they are decoded: no character contains a line break's byte. */
export class JsonWatchReader implements WatchReader {
  readonly #onEvent: (event: WireEvent) => void;
  /** The start of a line whose end has not arrived. */
  #parts: Buffer[] = [];
  #length = 0;

  constructor(onEvent: (event: WireEvent) => void) {
    this.#onEvent = onEvent;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      this.#length += part.length;
      checkObjectSize(this.#length);
      this.#parts.push(part);
      if (end < 0) return;
      this.#line();
      start = end + 1;
    }
  }

  end(): void {
    if (this.#length > 0) throw new WireFault('truncated', 'the last event ends too early');
  }

  #line(): void {
    const [first] = this.#parts;
    const line = this.#parts.length === 1 && first ? first : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    if (line.length === 0) return;
    const event = parseJson(line);
    if (!isFields(event) || !isFields(event['object']))
      throw malformed(`${quote(line)} is no event`);
    const value = event['object'];
    this.#onEvent({ type: textOf(event['type']), kind: textOf(value['kind']), value });
  }
}
