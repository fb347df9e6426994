/** The kernel setting that this mode needs. */
import type { Sysctls } from '../../kernel/sysctl.ts';

const ROUTE_LOCALNET = 'net/ipv4/conf/all/route_localnet';

/**
 * Lets packets from 127.0.0.1 be sent to endpoints, which node ports on that address need.
 * @throws KernelError where it is not so already and cannot be written.
 */
export function allowLocalhostNodePorts(sysctls: Sysctls): void {
  if (sysctls.read(ROUTE_LOCALNET) !== '1') sysctls.write(ROUTE_LOCALNET, 1);
}
