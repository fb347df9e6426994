/** Kernel settings that this mode needs, all of the network namespace. Forwarding is not among them: nodes have it on. */
import { isKernelError } from '../../kernel/errors.ts';
import type { Sysctls } from '../../kernel/sysctl.ts';

/** What a setting is to be, and whether the kernel may lack it. */
type Setting = readonly [name: string, value: string, need: 'needed' | 'optional'];

const SETTINGS: readonly Setting[] = [
  // Without it connections through IPVS could not be masqueraded.
  ['net/ipv4/vs/conntrack', '1', 'needed'],
  // Flows to a real server that is gone move with their next packet instead of vanishing.
  ['net/ipv4/vs/expire_nodest_conn', '1', 'needed'],
  // Clients with affinity leave a real server without weight.
  ['net/ipv4/vs/expire_quiescent_template', '1', 'needed'],
];

const STRICT_ARP: readonly Setting[] = [
  ['net/ipv4/conf/all/arp_ignore', '1', 'needed'],
  ['net/ipv4/conf/all/arp_announce', '2', 'needed'],
];

/** Before 5.9 the first packet on a port that is used again waits a second (kubernetes/kubernetes#81775). */
const NO_REUSE: Setting = ['net/ipv4/vs/conn_reuse_mode', '0', 'optional'];

/**
 * Writes the settings that differ.
 * @param kernelRelease As uname(2) has it: `6.1.0-18-amd64`.
 * @throws KernelError for one that is needed and cannot be had.
 */
export function applySysctls(sysctls: Sysctls, strictArp: boolean, kernelRelease: string): void {
  const settings = [
    ...SETTINGS,
    ...(strictArp ? STRICT_ARP : []),
    ...(isBefore59(kernelRelease) ? [NO_REUSE] : []),
  ];
  for (const [name, value, need] of settings) {
    try {
      if (sysctls.read(name) !== value) sysctls.write(name, value);
    } catch (error) {
      if (need === 'needed' || !isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    }
  }
}

function isBefore59(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major < 5 || (major === 5 && minor < 9);
}
