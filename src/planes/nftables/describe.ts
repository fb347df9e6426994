/** Kernel contents as people read them: drift findings and inspection. */
import { type Family, addressLength, hostPort } from '../../core/ip.ts';
import { FAMILY_NAME } from '../../kernel/nftables/constants.ts';
import type { ProgrammedFrontend } from '../plane.ts';
import type { FrontendPlan, PickPlan } from './plan.ts';
import { DROP, REFUSE, SETS, TABLE, parseStickySet } from './schema.ts';
import {
  type Packed,
  formatDestination,
  formatPlainAddress,
  formatRange,
  frontendLength,
  unpackFrontend,
  unpackNumber,
} from './keys.ts';

/** `ip switchyard: service-ips 10.96.0.1 . TCP . 80`. */
export function describeElement(family: Family, set: string, key: Packed): string {
  return `${FAMILY_NAME[family]} ${TABLE}: ${set} ${describeKey(family, set, key)}`;
}

function describeKey(family: Family, set: string, key: Packed): string {
  if (set === SETS.clusterIps || set === SETS.hairpin) return formatPlainAddress(key, family);
  const length = frontendLength(family);
  const { address, protocol, port } = unpackFrontend(key, family);
  const frontend = `${address} . ${protocol} . ${port}`;
  if (key.length === length) return frontend;
  const rest = key.slice(length);
  if (parseStickySet(set) !== undefined) return `${frontend} . ${formatDestination(rest, family)}`;
  return set === SETS.allowedSources && rest.length === addressLength(family)
    ? `${frontend} . ${formatPlainAddress(rest, family)}`
    : `${frontend} . slot ${unpackNumber(rest)}`;
}

/** One frontend for `inspect()`. */
export function describeFrontend(family: Family, plan: FrontendPlan): ProgrammedFrontend {
  const { address, protocol, port } = unpackFrontend(plan.key, family);
  return {
    frontend: hostPort(address, port),
    protocol,
    label: plan.label,
    target: describeTarget(family, plan.outside),
    insideTarget: plan.localPolicy ? describeTarget(family, plan.inside) : undefined,
    affinitySeconds: plan.sticky.keys().next().value,
    masquerade: plan.masquerade,
    allowedSources: plan.restricted
      ? plan.sources.map(({ first, last }) => formatRange(first, last, family))
      : undefined,
  };
}

function describeTarget(family: Family, pick: PickPlan): readonly string[] | 'reject' | 'drop' {
  if (pick.code === DROP) return 'drop';
  if (pick.code === REFUSE || pick.code === undefined) return 'reject';
  return pick.slots.map((slot) => (slot === undefined ? 'none' : formatDestination(slot, family)));
}
