/** The machine an agent runs on, as far as it uses it. */
import type { WallTime } from '../core/clock.ts';
import type { Address, Family } from '../core/ip.ts';
import type { Sysctls } from '../kernel/sysctl.ts';
import type { Environment } from '../kube/access.ts';
import type { DataPlane } from '../planes/plane.ts';
import type { AgentClock } from './clock.ts';
import type { DeleteFlows } from './flow-cleaner.ts';
import type { Logger } from './log.ts';
import type { IpvsSnapshot } from './metrics/ipvs-metrics.ts';

/** Addresses of interfaces. */
export type InterfaceAddresses = readonly { readonly address: Address }[];

/** The addresses of this machine. Iterating gives all of them, at once and after each change. */
export interface AddressSource extends AsyncIterable<InterfaceAddresses> {
  readonly addresses: InterfaceAddresses;
  /** Ends the iteration. */
  close(): Promise<void>;
}

/** What an agent uses of the machine it runs on. */
export interface Machine {
  /** Works here: {@link chooseMode} has asked it. */
  readonly plane: DataPlane;
  /** In ipvs mode: what IPVS holds. */
  readonly readIpvs: (() => Promise<IpvsSnapshot>) | undefined;
  readonly addresses: AddressSource;
  readonly deleteFlows: DeleteFlows;
  /** Families the kernel has. */
  readonly families: readonly Family[];
  readonly sysctls: Sysctls;
  /** Sets how readily the kernel ends this process when memory runs out. Throws a KernelError. */
  readonly setOomScore: (score: number) => void;
  readonly cpus: number;
  /** Environment variables of this process. */
  readonly env: Environment;
  readonly clock: AgentClock;
  readonly wallTime: WallTime;
  /** Numbers from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly log: Logger;
}
