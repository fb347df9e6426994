/**
 * The contract between the agent and a data plane. A plane turns {@link Route}s into kernel objects;
 * it knows no Kubernetes object and no configuration file.
 *
 * Calls never overlap: the agent awaits one before it makes the next. Only {@link DataPlane.counters} may be
 * called at any time.
 */
import type { Family } from '../core/ip.ts';
import type { ObjectKey, Protocol } from '../core/model.ts';
import type { PlaneSettings } from '../core/node.ts';
import type { Route, RouteChange } from '../core/route.ts';

/** Data planes there are. */
type Mode = 'nftables' | 'ipvs' | 'iptables';

/** What one call wrote. `operations` counts kernel objects (elements, rules, chains, sets), `batches` transactions. */
export interface WriteReport {
  readonly operations: number;
  readonly batches: number;
  /** From handing over the first batch to the last acknowledgement, in milliseconds. */
  readonly kernelMs: number;
  /** What of a Service is programmed in another way than it asks for, and why; told in each report that programs it. */
  readonly notices: readonly ServiceNotice[];
}

/** A wish that this kernel or this mode cannot grant. */
export interface Notice {
  /** `scheduler`: the kernel lacks the one that is asked for. */
  readonly about: 'scheduler' | 'other';
  /** A sentence without the name of the Service. */
  readonly text: string;
}

/** A wish of a Service that is not granted. */
export interface ServiceNotice extends Notice {
  readonly service: ObjectKey;
}

/** Result of {@link DataPlane.verify}: what differed from what we programmed, already repaired. */
export interface DriftReport extends WriteReport {
  /** One line each, e.g. `ip switchyard: map service-ips: 10.96.0.1 . tcp . 80 was missing`; at most 20. */
  readonly drift: readonly string[];
}

/** One frontend as the kernel holds it. */
export interface ProgrammedFrontend {
  /** `address:port`, IPv6 bracketed. */
  readonly frontend: string;
  /** As in Services: `TCP`. */
  readonly protocol: string;
  /** Comment found in the kernel: `namespace/name:port`. */
  readonly label: string;
  /** `ip:port` in slot order, or what happens instead. */
  readonly target: readonly string[] | 'reject' | 'drop';
  /** The same for the short-circuit of a Local policy. */
  readonly insideTarget: readonly string[] | 'reject' | 'drop' | undefined;
  readonly affinitySeconds: number | undefined;
  readonly masquerade: boolean;
  readonly allowedSources: readonly string[] | undefined;
}

/**
 * Traffic of one Service port in one family, all its frontends together, since it is counted. `In` is what
 * clients sent, `Out` what endpoints answered. What was refused or dropped before it was sent on to an endpoint
 * is not in it.
 */
export interface ServiceCounters {
  readonly namespace: string;
  readonly name: string;
  /** Name of the port, empty when it has none. */
  readonly port: string;
  readonly protocol: Protocol;
  readonly family: Family;
  /** Connections opened; for UDP and SCTP flows, as conntrack tells them apart. */
  readonly connections: number;
  /** Packets as the kernel handles them: what it merged (GRO) or has not split yet (TSO) is one. */
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** From the start of the network header. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** One requirement of a plane and whether this node meets it. */
export interface Capability {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, and when not ok what to do about it. */
  readonly detail: string;
}

/** Programs Routes into the kernel. */
export interface DataPlane {
  readonly mode: Mode;
  /** Tests what this plane needs of kernel, rights and tools; changes nothing that stays. */
  probe(): readonly Capability[];
  /**
   * Makes the kernel hold exactly `routes`: adopts what an earlier run left, writes only differences,
   * removes only what is stale, without a moment in which a Service that stays does not answer.
   */
  open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport>;
  /**
   * Programs changes, at most one for each Route. Atomic per Route; a frontend may move from one Route to
   * another. After a failure the kernel is compared with what it should hold and repaired before this settles.
   */
  apply(changes: readonly RouteChange[]): Promise<WriteReport>;
  /**
   * Work that only time brings, such as removing endpoints whose last connection has ended. To be called about once a
   * second; costs nothing when there is none, and then resolves to `undefined`.
   */
  tend(): Promise<WriteReport | undefined>;
  /** True when the kernel's rules may have been changed by somebody else since our last write. Costs microseconds. */
  disturbed(): boolean;
  /** Compares the kernel with what was programmed and repairs differences. */
  verify(): Promise<DriftReport>;
  /** What the kernel holds, read from the kernel; works without `open`. */
  inspect(): Promise<readonly ProgrammedFrontend[]>;
  /**
   * Traffic of the counted Service ports: as many as {@link PlaneSettings.countedPorts} says, the first ones to
   * come. A port stays counted, also over a restart, until its Service goes; then another takes its place.
   * Numbers only grow while a port is counted and has a frontend. Empty when none is to be counted.
   */
  counters(): Promise<readonly ServiceCounters[]>;
  /** Removes everything this plane owns and nothing else; works without `open`. Resolves to false if there was nothing. */
  remove(): Promise<boolean>;
  /** Frees sockets. Rules stay. */
  close(): void;
}
