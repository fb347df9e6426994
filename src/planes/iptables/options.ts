/** Choices of an operator that only iptables mode has. */
import type { Variant } from '../../kernel/iptables/variant.ts';

/** Settings of the iptables plane. */
export interface IptablesPlaneOptions {
  /** Where the rules are to live; `undefined`: where the rules of others do. */
  readonly variant?: Variant | undefined;
  /** Bit of the packet mark that says: masquerade; 0 to 31. */
  readonly masqueradeBit: number;
  /** Node ports are served on 127.0.0.1, too: the kernel is told to route such packets. */
  readonly localhostNodePorts: boolean;
}
