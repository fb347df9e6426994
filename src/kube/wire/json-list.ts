/**
 * Reads the JSON of a list while it arrives. The items are cut out and parsed one by one: the whole
 * list at once would need several times its size in memory.
 */
import { isFields } from '../../core/decode/fields.ts';
import { WireFault, malformed } from './fault.ts';
import {
  type ListMeta,
  type ListReader,
  checkListSize,
  checkObjectSize,
  parseJson,
  quote,
  textOf,
} from './reader.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Depth of nesting inside the array of items. */
const ITEMS_DEPTH = 2;
/** What stands in front of the array of items. Inside of a key, a quote has a backslash. */
const ITEMS_KEY = /[{,]\s*"items"\s*:\s*\[$/;
/** Longest text that is looked at for it. */
const KEY_LENGTH = 64;

/** Calls back with each item, in order. */
export class JsonListReader implements ListReader {
  readonly #onItem: (value: unknown) => void;
  #length = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isInItems = false;
  /** The bytes of an item that earlier chunks brought. */
  readonly #item = new Piece();
  /** All bytes outside of the array of items: the list as if it had none. */
  readonly #frame = new Piece();

  constructor(onItem: (value: unknown) => void) {
    this.#onItem = onItem;
  }

  push(chunk: Buffer): void {
    this.#length += chunk.length;
    checkListSize(this.#length);
    const rest = this.#scan(chunk);
    if (!this.#isInItems) this.#frame.add(rest);
    else if (this.#depth > ITEMS_DEPTH) this.#item.add(rest);
  }

  end(): ListMeta {
    const frame = this.#frame.take();
    if (this.#isInItems || this.#isInString || this.#depth > 0 || frame.length === 0) {
      throw new WireFault('truncated', 'the list ends too early');
    }
    const list = parseJson(frame);
    if (!isFields(list)) throw malformed(`${quote(frame)} is no object`);
    const meta = isFields(list['metadata']) ? list['metadata'] : {};
    return {
      kind: textOf(list['kind']),
      resourceVersion: textOf(meta['resourceVersion']),
      continue: textOf(meta['continue']),
    };
  }

  /** Takes the complete items out of a chunk; returns what is left of it at the end. */
  #scan(chunk: Buffer): Buffer {
    // In variables, for this loop sees every byte.
    let depth = this.#depth;
    let isInString = this.#isInString;
    let isEscaped = this.#isEscaped;
    let isInItems = this.#isInItems;
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index] ?? 0;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) isInString = false;
      } else if (isInItems && depth === ITEMS_DEPTH && !isItemEdge(byte)) {
        if (byte > SPACE && byte !== COMMA) throw malformed('an item is no object');
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (isInItems && depth === ITEMS_DEPTH) start = index;
        depth++;
        if (depth === ITEMS_DEPTH && byte === OPEN_BRACKET) {
          this.#frame.add(chunk.subarray(start, index + 1));
          start = index + 1;
          isInItems = ITEMS_KEY.test(this.#frame.ending());
        }
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth--;
        if (isInItems && depth === ITEMS_DEPTH) {
          this.#item.add(chunk.subarray(start, index + 1));
          this.#onItem(parseJson(this.#item.take()));
        } else if (isInItems && depth < ITEMS_DEPTH) {
          isInItems = false;
          start = index;
        }
      } else if (byte === QUOTE) isInString = true;
    }
    this.#depth = depth;
    this.#isInString = isInString;
    this.#isEscaped = isEscaped;
    this.#isInItems = isInItems;
    return chunk.subarray(start);
  }
}

/** What may stand between the items and begins one, or ends all. */
function isItemEdge(byte: number): boolean {
  return byte === OPEN_BRACE || byte === CLOSE_BRACKET;
}

/** Bytes that several chunks bring. */
class Piece {
  #parts: Buffer[] = [];
  #length = 0;

  add(part: Buffer): void {
    this.#length += part.length;
    checkObjectSize(this.#length);
    this.#parts.push(part);
  }

  take(): Buffer {
    const [first] = this.#parts;
    const whole = this.#parts.length === 1 && first ? first : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    return whole;
  }

  /** The last characters. */
  ending(): string {
    const text = Buffer.concat(this.#parts.slice(-KEY_LENGTH)).toString('latin1');
    return text.slice(-KEY_LENGTH);
  }
}
