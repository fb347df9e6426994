/** Every behaviour of the proxy over the ipvs plane: the suite of test/netns, in a kernel that has IPVS. */
import { writeFileSync } from 'node:fs';
import { skipOutsideUml } from '../lab/uml/inside.ts';

if (skipOutsideUml === false) {
  // What all namespaces share, and the guest has little of. Connections: about 8,000 would be tracked, then lost.
  writeFileSync('/proc/sys/net/netfilter/nf_conntrack_max', '262144');
  // ICMP errors: the suite is refused more often than the kernel would tell.
  writeFileSync('/proc/sys/net/ipv4/icmp_msgs_per_sec', '1000000');
  writeFileSync('/proc/sys/net/ipv4/icmp_msgs_burst', '1000000');
  // Packets between namespaces: with one slow processor more than 1,000 wait at times.
  writeFileSync('/proc/sys/net/core/netdev_max_backlog', '100000');
}
await import('../netns/conformance/conformance.test.ts');
