/** Which data planes have anything in the kernel of a node. */
import type { PlaneName } from '../../../src/agent/mode.ts';
import type { SwitchNode } from './switch-node.ts';

const TRACES: Readonly<Record<PlaneName, string>> = {
  nftables: 'nft list tables | grep -E "^table ip6? switchyard$"',
  ipvs: 'ipset list -n | grep swy-ipvs; ip link show kube-ipvs0; ipvsadm -Sn; for t in nft legacy; do iptables-$t-save | grep SWY-IPVS; done',
  'iptables-nft':
    'for t in iptables ip6tables; do $t-nft-save | grep SWY- | grep -v SWY-IPVS; done',
  'iptables-legacy':
    'for t in iptables ip6tables; do $t-legacy-save | grep SWY- | grep -v SWY-IPVS; done',
};

/** The planes that have left a trace, in alphabetical order. */
export function planesIn(node: SwitchNode): readonly string[] {
  return Object.entries(TRACES)
    .filter(([, script]) => node.shell(`{ ${script}; } 2>/dev/null || true`) !== '')
    .map(([name]) => name)
    .toSorted();
}
