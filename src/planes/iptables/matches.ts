/** Parts of rules that several chains have, in the spelling in which iptables lists them. */
import { type Family, formatCidr } from '../../core/ip.ts';
import type { LocalTraffic, PlaneSettings } from '../../core/node.ts';
import { CHAINS } from './schema.ts';

/** What the rules of a family depend on besides Routes. */
export interface RuleContext {
  readonly family: Family;
  readonly settings: PlaneSettings;
  /** Value of the mark that says: masquerade. */
  readonly mark: number;
}

/** Matches what processes of this node send. */
export const FROM_THIS_NODE = '-m addrtype --src-type LOCAL';

/** Puts the mark on a packet. */
export function setMark({ mark }: RuleContext): string {
  return `-j MARK --set-xmark ${hex(mark)}/${hex(mark)}`;
}

/** Takes it off. */
export function clearMark({ mark }: RuleContext): string {
  return `-j MARK --set-xmark 0x0/${hex(mark)}`;
}

/** Matches packets that have it. */
export function hasMark({ mark }: RuleContext): string {
  return `-m mark --mark ${hex(mark)}/${hex(mark)}`;
}

/** Matches what this node's pods send; `undefined` where nobody can tell. */
export function fromPods({ family, settings }: RuleContext): string | undefined {
  const local = settings.localTraffic[family];
  if (local === undefined) return undefined;
  return local.kind === 'cidr' ? `-s ${formatCidr(local.cidr)}` : `-i ${interfaceOf(local)}`;
}

/** Begins a rule for what is masqueraded on its way to any cluster IP; `undefined`: nothing is. */
export function toMasquerade({ family, settings }: RuleContext): string | undefined {
  if (settings.masqueradeAll) return '';
  const local = settings.localTraffic[family];
  if (local === undefined) return undefined;
  return local.kind === 'cidr' ? `! -s ${formatCidr(local.cidr)} ` : `! -i ${interfaceOf(local)} `;
}

/** A comment as iptables lists it, whatever is in it. */
export function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

/** Refuses what gets here. */
export const REJECT = `-g ${CHAINS.reject}`;
export const DROP = '-j DROP';

function interfaceOf(local: Exclude<LocalTraffic, { kind: 'cidr' }>): string {
  return local.kind === 'interface' ? local.name : `${local.prefix}+`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
