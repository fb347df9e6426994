/** networking.k8s.io/v1 ServiceCIDR. */
import { readCidrs } from '../core/decode/addresses.ts';
import { child } from '../core/decode/fields.ts';
import { metadata, root } from '../core/decode/metadata.ts';
import type { Decoded, Problem } from '../core/decode/problem.ts';
import type { Cidr } from '../core/ip.ts';

/** Ranges from which cluster IPs are taken. */
export interface ServiceCidr {
  readonly name: string;
  readonly cidrs: readonly Cidr[];
}

/** Decodes a ServiceCIDR. There is no object only when the value is none or has no valid name. Never throws. */
export function decodeServiceCidr(value: unknown): Decoded<ServiceCidr> {
  const problems: Problem[] = [];
  const object = root(value, problems);
  const meta = object && metadata(object);
  if (object === undefined || meta === undefined) return { object: undefined, problems };
  const spec = child(object, 'spec', 'it has no ranges');
  return {
    object: { name: meta.name, cidrs: readCidrs(spec, 'cidrs', 'it is ignored') },
    problems,
  };
}
