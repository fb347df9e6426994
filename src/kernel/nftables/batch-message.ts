/** Words for the messages of a batch; made only when one fails. */
import type { Family } from '../../core/ip.ts';
import { KernelError } from '../errors.ts';
import { AttributeCursor } from '../netlink/reader.ts';
import { FAMILY_NAME, NFTA_DATA, NFTA_LIST_ELEM, NFTA_SET_ELEM } from './constants.ts';

export type Verb = 'adding' | 'deleting' | 'flushing';
export type MessageKind = 'table' | 'chain' | 'rule' | 'set' | 'counter' | 'element';

/** One message of a batch. */
export interface BatchMessage {
  /** Where it starts. */
  readonly offset: number;
  readonly verb: Verb;
  readonly kind: MessageKind;
  readonly family: Family;
  readonly table: string;
  /** Chain, set or counter; empty for tables. */
  readonly name: string;
}

/** `adding rule to chain ip switchyard services`. `bytes` is the batch. */
export function describeMessage(
  message: BatchMessage,
  bytes: Buffer,
  attributeOffset: number | undefined,
): string {
  const { verb, kind, name } = message;
  const table = `${FAMILY_NAME[message.family]} ${message.table}`;
  const preposition = verb === 'adding' ? 'to' : 'of';
  if (kind === 'table') return `${verb} table ${table}`;
  if (kind === 'rule') return `${verb} rule ${preposition} chain ${table} ${name}`;
  if (kind !== 'element') return `${verb} ${kind} ${table} ${name}`;
  const at = attributeOffset === undefined ? undefined : message.offset + attributeOffset;
  const key = at === undefined ? undefined : elementKey(bytes, at);
  const element = key === undefined ? 'elements' : `element ${key}`;
  return `${verb} ${element} ${preposition} set ${table} ${name}`;
}

/** Key, in hexadecimal, of the element whose attribute starts at `offset`; `undefined` if none does. */
function elementKey(bytes: Buffer, offset: number): string | undefined {
  try {
    const element = new AttributeCursor(bytes, offset, bytes.length);
    if (!element.next() || element.type !== NFTA_LIST_ELEM) return undefined;
    const fields = element.nested();
    while (fields.next()) {
      if (fields.type !== NFTA_SET_ELEM.KEY) continue;
      const value = fields.nested();
      return value.next() && value.type === NFTA_DATA.VALUE
        ? value.view().toString('hex')
        : undefined;
    }
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
