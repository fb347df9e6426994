/** Reads set elements from NFT_MSG_NEWSETELEM messages without making an object for each. */
import { AttributeCursor, textBetween } from '../netlink/reader.ts';
import {
  NFTA_DATA,
  NFTA_LIST_ELEM,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFTA_VERDICT,
  VERDICT_CODE,
} from './constants.ts';
import type { Verdict } from './expressions.ts';
import { NFGENMSG_LENGTH } from './info.ts';
import { UDATA_COMMENT, findUserdataText } from './userdata.ts';

/** One element, as a value. The bytes are views into what was received. */
export interface ElementInfo {
  readonly key: Uint8Array;
  /** Last key, in interval sets. */
  readonly keyEnd?: Uint8Array;
  readonly data?: Uint8Array;
  readonly verdict?: Verdict;
  /** Name of a counter, in maps to counters. */
  readonly counter?: string;
  readonly comment?: string;
  readonly timeoutMs?: number;
  readonly expirationMs?: number;
}

/**
 * One element, as places in the received bytes. The same object is filled again for the next element;
 * `bytes` stay valid. Where something is absent its start and end are equal, numbers are -1.
 */
export interface ElementView {
  readonly bytes: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** The last key of a range. */
  readonly lastKeyStart: number;
  readonly lastKeyEnd: number;
  readonly dataStart: number;
  readonly dataEnd: number;
  readonly timeoutMs: number;
  readonly expirationMs: number;
  /** Reads the comment. */
  comment(): string | undefined;
  /** Reads the verdict of a verdict-map element. */
  verdict(): Verdict | undefined;
  /** Reads the name of the counter that an element of a map to counters leads to. */
  counter(): string | undefined;
}

/** Fills itself with one element after the other. */
export class ElementReader implements ElementView {
  bytes: Buffer = Buffer.alloc(0);
  keyStart = 0;
  keyEnd = 0;
  lastKeyStart = 0;
  lastKeyEnd = 0;
  dataStart = 0;
  dataEnd = 0;
  timeoutMs = -1;
  expirationMs = -1;
  #verdictStart = 0;
  #verdictEnd = 0;
  #counterStart = 0;
  #counterEnd = 0;
  #userdataStart = 0;
  #userdataEnd = 0;
  readonly #message = new AttributeCursor(this.bytes, 0, 0);
  readonly #list = new AttributeCursor(this.bytes, 0, 0);
  readonly #element = new AttributeCursor(this.bytes, 0, 0);
  readonly #value = new AttributeCursor(this.bytes, 0, 0);

  /** Visits every element of one message, whose payload lies between two offsets. */
  read(bytes: Buffer, start: number, end: number, visit: (element: ElementView) => void): void {
    this.bytes = bytes;
    this.#message.enter(bytes, start + NFGENMSG_LENGTH, end);
    while (this.#message.next()) {
      if (this.#message.type !== NFTA_SET_ELEM_LIST.ELEMENTS) continue;
      this.#list.enter(bytes, this.#message.start, this.#message.end);
      while (this.#list.next()) {
        if (this.#list.type !== NFTA_LIST_ELEM) continue;
        this.#readElement();
        visit(this);
      }
    }
  }

  comment(): string | undefined {
    return findUserdataText(this.bytes, this.#userdataStart, this.#userdataEnd, UDATA_COMMENT);
  }

  verdict(): Verdict | undefined {
    let code: number | undefined;
    let chain = '';
    this.#value.enter(this.bytes, this.#verdictStart, this.#verdictEnd);
    while (this.#value.next()) {
      if (this.#value.type === NFTA_VERDICT.CODE) code = this.#value.i32be();
      else if (this.#value.type === NFTA_VERDICT.CHAIN) {
        chain = textBetween(this.bytes, this.#value.start, this.#value.end);
      }
    }
    return code === undefined ? undefined : verdictOf(code, chain);
  }

  counter(): string | undefined {
    return this.#counterEnd > this.#counterStart
      ? textBetween(this.bytes, this.#counterStart, this.#counterEnd)
      : undefined;
  }

  /** The current element as a value. */
  info(): ElementInfo {
    const { bytes } = this;
    const verdict = this.verdict();
    const counter = this.counter();
    const comment = this.comment();
    return {
      key: bytes.subarray(this.keyStart, this.keyEnd),
      ...(this.lastKeyEnd > this.lastKeyStart && {
        keyEnd: bytes.subarray(this.lastKeyStart, this.lastKeyEnd),
      }),
      ...(this.dataEnd > this.dataStart && { data: bytes.subarray(this.dataStart, this.dataEnd) }),
      ...(verdict !== undefined && { verdict }),
      ...(counter !== undefined && { counter }),
      ...(comment !== undefined && { comment }),
      ...(this.timeoutMs >= 0 && { timeoutMs: this.timeoutMs }),
      ...(this.expirationMs >= 0 && { expirationMs: this.expirationMs }),
    };
  }

  #readElement(): void {
    this.keyStart = this.keyEnd = 0;
    this.lastKeyStart = this.lastKeyEnd = 0;
    this.dataStart = this.dataEnd = 0;
    this.#verdictStart = this.#verdictEnd = 0;
    this.#counterStart = this.#counterEnd = 0;
    this.#userdataStart = this.#userdataEnd = 0;
    this.timeoutMs = this.expirationMs = -1;
    const element = this.#element.enter(this.bytes, this.#list.start, this.#list.end);
    const value = this.#value;
    while (element.next()) {
      switch (element.type) {
        case NFTA_SET_ELEM.KEY:
          if (this.#enterValue(NFTA_DATA.VALUE)) {
            this.keyStart = value.start;
            this.keyEnd = value.end;
          }
          break;
        case NFTA_SET_ELEM.KEY_END:
          if (this.#enterValue(NFTA_DATA.VALUE)) {
            this.lastKeyStart = value.start;
            this.lastKeyEnd = value.end;
          }
          break;
        case NFTA_SET_ELEM.DATA:
          if (this.#enterValue(NFTA_DATA.VALUE)) {
            this.dataStart = value.start;
            this.dataEnd = value.end;
          } else if (value.type === NFTA_DATA.VERDICT) {
            this.#verdictStart = value.start;
            this.#verdictEnd = value.end;
          }
          break;
        case NFTA_SET_ELEM.TIMEOUT:
          this.timeoutMs = element.u64be();
          break;
        case NFTA_SET_ELEM.EXPIRATION:
          this.expirationMs = element.u64be();
          break;
        case NFTA_SET_ELEM.USERDATA:
          this.#userdataStart = element.start;
          this.#userdataEnd = element.end;
          break;
        case NFTA_SET_ELEM.OBJREF:
          this.#counterStart = element.start;
          this.#counterEnd = element.end;
          break;
        default:
      }
    }
  }

  /** Goes into the data under the element cursor; true when it is of this kind. */
  #enterValue(kind: number): boolean {
    const value = this.#value.enter(this.bytes, this.#element.start, this.#element.end);
    return value.next() && value.type === kind;
  }
}

function verdictOf(code: number, chain: string): Verdict | undefined {
  switch (code) {
    case VERDICT_CODE.jump:
      return { code: 'jump', chain };
    case VERDICT_CODE.goto:
      return { code: 'goto', chain };
    case VERDICT_CODE.accept:
      return { code: 'accept' };
    case VERDICT_CODE.drop:
      return { code: 'drop' };
    case VERDICT_CODE.return:
      return { code: 'return' };
    case VERDICT_CODE.continue:
      return { code: 'continue' };
    default:
      return undefined;
  }
}
