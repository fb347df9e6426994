/** Turns nf_tables messages into comparable words, leaving out what only numbers things within a batch. */
import { NLM_F } from '../../../src/kernel/netlink/constants.ts';
import { AttributeCursor, MessageCursor } from '../../../src/kernel/netlink/reader.ts';
import {
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_ELEM_LIST,
  NFT_MSG,
} from '../../../src/kernel/nftables/constants.ts';

/** NFTA_SET_ELEM_LIST_SET_ID, which nft sends with elements. */
const ELEMENT_LIST_SET_ID = 4;
const NFTA_EXPR_NAME = 1;
/**
 * Numbers of sets within a batch (NFTA_LOOKUP_SET_ID, NFTA_OBJREF_SET_ID, NFTA_DYNSET_SET_ID), and NFTA_BITWISE_OP, which nft
 * sends at times and which is 0 when it is left out.
 */
const IGNORED: { readonly [expression: string]: number } = {
  lookup: 4,
  objref: 5,
  dynset: 2,
  bitwise: 6,
};

/** Messages as text: type and family in the first line, then the attributes in the order sent. */
export function messageWords(bytes: Buffer): string[] {
  const found: string[] = [];
  const message = new MessageCursor(bytes);
  while (message.next()) {
    const family = bytes.readUInt8(message.start);
    const head = `message ${message.type.toString(16)} family ${family}${flagWords(message)}`;
    found.push([head, ...attributeWords(message)].join('\n'));
  }
  return found;
}

/** Only the messages of one type. */
export function wordsOfType(bytes: Buffer, type: number): string[] {
  return messageWords(bytes).filter((words) => words.startsWith(`message ${type.toString(16)} `));
}

/** Puts the elements of messages that follow each other and are for the same set into one. */
export function joinElements(messages: readonly string[]): string[] {
  const joined: string[] = [];
  for (const message of messages) {
    const at = message.indexOf('\nelement ');
    const last = joined.at(-1);
    if (at > 0 && last?.startsWith(`${message.slice(0, at)}\nelement `) === true) {
      joined[joined.length - 1] = last + message.slice(at);
    } else {
      joined.push(message);
    }
  }
  return joined;
}

/** How objects are to be made; nft leaves the flag out for tables, which are always made. */
function flagWords({ type, flags }: MessageCursor): string {
  if (type === NFT_MSG.NEWTABLE) return '';
  const create = (flags & NLM_F.CREATE) === 0 ? '' : ' create';
  return (flags & NLM_F.APPEND) === 0 ? create : `${create} append`;
}

function attributeWords(message: MessageCursor): string[] {
  const words: string[] = [];
  const isSet = message.type === NFT_MSG.NEWSET;
  const isElements = message.type === NFT_MSG.NEWSETELEM || message.type === NFT_MSG.DELSETELEM;
  const attributes = new AttributeCursor(message.bytes, message.start + 4, message.end);
  while (attributes.next()) {
    const { type } = attributes;
    if (isSet && type === NFTA_SET.ID) continue;
    if (isElements && type === ELEMENT_LIST_SET_ID) continue;
    if (isElements && type === NFTA_SET_ELEM_LIST.ELEMENTS) {
      words.push(...elementWords(attributes.nested()));
    } else if (message.type === NFT_MSG.NEWRULE && type === NFTA_RULE.EXPRESSIONS) {
      words.push(...expressionWords(attributes.nested()));
    } else words.push(`${type}: ${attributes.view().toString('hex')}`);
  }
  return words;
}

/** nft numbers the elements of a list in their attribute types; the kernel does not look at these. */
function elementWords(elements: AttributeCursor): string[] {
  const words: string[] = [];
  while (elements.next()) words.push(`element ${elements.view().toString('hex')}`);
  return words;
}

function expressionWords(expressions: AttributeCursor): string[] {
  const words: string[] = [];
  while (expressions.next()) {
    const parts = expressions.nested();
    let name = '';
    while (parts.next()) {
      if (parts.type === NFTA_EXPR_NAME) {
        name = parts.string();
        words.push(name);
        continue;
      }
      const values = parts.nested();
      while (values.next()) {
        if (values.type === IGNORED[name]) continue;
        words.push(`  ${values.type}: ${values.view().toString('hex')}`);
      }
    }
  }
  return words;
}
