/** What the iptables plane needs of this node. */
import { KernelError } from '../../kernel/errors.ts';
import type { Iptables } from '../../kernel/iptables/iptables.ts';
import type { Capability } from '../plane.ts';

/** One answer for each thing that is needed. Changes nothing. */
export function probeIptables(open: () => Iptables): readonly Capability[] {
  try {
    const { version, reason } = open().tools;
    return [{ name: 'iptables', ok: true, detail: `${version}: ${reason}` }];
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return [{ name: 'iptables', ok: false, detail: error.message }];
  }
}
