/** Decodes core/v1 Nodes. */
import type { Address } from '../ip.ts';
import type { NodeObject } from '../model.ts';
import { readAddress, readCidr, readCidrs } from './addresses.ts';
import { child, has, items, text } from './fields.ts';
import type { Cursor } from './fields.ts';
import { metadata, root } from './metadata.ts';
import type { Decoded, Problem } from './problem.ts';

/** Label: availability zone of a Node. */
const ZONE_LABEL = 'topology.kubernetes.io/zone';
/** Taint that the cluster autoscaler puts on a Node before it removes it (KEP-3836). */
const LEAVING_TAINT = 'ToBeDeletedByClusterAutoscaler';

/** Decodes a Node. There is no object only when the value is none or has no valid name. Never throws. */
export function decodeNode(value: unknown): Decoded<NodeObject> {
  const problems: Problem[] = [];
  const object = root(value, problems);
  const meta = object && metadata(object);
  if (object === undefined || meta === undefined) return { object: undefined, problems };
  const spec = child(object, 'spec', 'its pod CIDRs and taints are not known');
  return {
    object: {
      name: meta.name,
      zone: text(meta.labels, ZONE_LABEL, 'the Node counts as being in no zone') || undefined,
      addresses: readAddresses(child(object, 'status', 'no address of the Node is known')),
      podCIDRs: readPodCIDRs(spec),
      eligible: !isBeingDeleted(object) && !isLeaving(spec),
    },
    problems,
  };
}

/** InternalIPs first, then ExternalIPs, without repetition. */
function readAddresses(status: Cursor): readonly Address[] {
  const internal: Address[] = [];
  const external: Address[] = [];
  for (const cursor of items(status, 'addresses', 'no address of the Node is known')) {
    const type = cursor.fields['type'];
    if (type !== 'InternalIP' && type !== 'ExternalIP') continue;
    const value = cursor.fields['address'];
    const address = readAddress(cursor, 'address', value, () => undefined, 'it is ignored');
    if (address !== undefined) (type === 'InternalIP' ? internal : external).push(address);
  }
  return [...new Set([...internal, ...external])];
}

/** `podCIDRs`, or `podCIDR` of objects that have only that. */
function readPodCIDRs(spec: Cursor): NodeObject['podCIDRs'] {
  const effect = 'it is ignored';
  if (has(spec, 'podCIDRs')) return readCidrs(spec, 'podCIDRs', effect);
  if (!has(spec, 'podCIDR')) return [];
  const cidr = readCidr(spec, 'podCIDR', spec.fields['podCIDR'], effect);
  return cidr === undefined ? [] : [cidr];
}

function isBeingDeleted(object: Cursor): boolean {
  return has(child(object, 'metadata', ''), 'deletionTimestamp');
}

function isLeaving(spec: Cursor): boolean {
  return items(spec, 'taints', 'the Node counts as having none').some(
    ({ fields }) => fields['key'] === LEAVING_TAINT,
  );
}
