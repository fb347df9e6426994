/** Decodes networking.k8s.io/v1 ServiceCIDRs. */
import type { ServiceCidr } from '../model.ts';
import { readCidrs } from './addresses.ts';
import { child } from './fields.ts';
import { metadata, root } from './metadata.ts';
import type { Decoded, Problem } from './problem.ts';

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
