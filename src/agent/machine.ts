/** The machine an agent runs on, as far as it uses it. */
import type { WallTime } from '../core/clock.ts';
import type { Address, Family } from '../core/ip.ts';
import type { Sysctls } from '../kernel/sysctl.ts';
import type { Variant } from '../kernel/iptables/variant.ts';
import type { Environment } from '../kube/access.ts';
import type { DataPlane, ProgrammedFrontend } from '../planes/plane.ts';
import type { AgentClock } from './clock.ts';
import type { AgentConfig } from './config/agent-config.ts';
import type { PlaneMode, ProxyMode } from './config/option.ts';
import type { DeleteFlows } from './flow-cleaner.ts';
import type { Logger } from './log.ts';
import type { IpvsSnapshot } from './metrics/ipvs-metrics.ts';
import type { PlaneOffer } from './mode.ts';
import type { SwitchJournal, SwitchRecord } from './switching/journal.ts';
import type { Connect } from './switching/probes.ts';
import type { PlaneInForce } from './switching/switcher.ts';

/** Addresses of interfaces. */
export type InterfaceAddresses = readonly {
  readonly address: Address;
  /** `undefined` when it has just gone. */
  readonly interfaceName?: string | undefined;
}[];

/** The addresses of this machine. Iterating gives all of them, at once and after each change. */
export interface AddressSource extends AsyncIterable<InterfaceAddresses> {
  readonly addresses: InterfaceAddresses;
  /** Ends the iteration. */
  close(): Promise<void>;
}

/** The modes that the agent can change between while it runs. */
export interface Modes {
  readonly offers: readonly PlaneOffer[];
  /** The one that is in charge at the start, and its plane. */
  readonly present: PlaneInForce;
  /** What the configuration asks for. */
  readonly configured: ProxyMode;
  /** The configuration as a mode reads it. */
  readonly configOf: (mode: PlaneMode) => AgentConfig;
  /** `undefined`: switches are not remembered. */
  readonly journal: SwitchJournal | undefined;
  /** A switch that the journal has and that still counts. */
  readonly record: SwitchRecord | undefined;
  readonly connect: Connect;
}

/** What an agent uses of the machine it runs on. */
export interface Machine {
  /** Works here: {@link chooseMode} has asked it. */
  readonly plane: DataPlane;
  /** Reads what the kernel holds of a mode, at any time: beside what `plane` is doing. */
  readonly inspect: (mode: PlaneMode, variant?: Variant) => Promise<readonly ProgrammedFrontend[]>;
  /** `undefined`: there is only one mode. */
  readonly modes?: Modes | undefined;
  /** What IPVS holds; asked in ipvs mode only. */
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
