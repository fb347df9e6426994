/** Kernel settings made once, at the start: connection tracking, and the score for the OOM killer. */
import { KernelError } from '../kernel/errors.ts';
import type { Sysctls } from '../kernel/sysctl.ts';

/** Wanted settings of connection tracking. In each field 0 leaves the kernel's own value alone. */
export interface ConntrackSettings {
  /** Connections that can be tracked, for each CPU. */
  readonly maxPerCore: number;
  /** Least number of connections that can be tracked, whatever the number of CPUs. */
  readonly min: number;
  /** Times are in seconds; fractions are cut off. */
  readonly tcpEstablishedTimeout: number;
  readonly tcpCloseWaitTimeout: number;
  readonly udpTimeout: number;
  readonly udpStreamTimeout: number;
  /** Packets outside of the TCP window do not count as invalid; `false` leaves the kernel's own value alone. */
  readonly tcpBeLiberal: boolean;
}

/** A sysctl that has to be written, and what it was before. */
export interface SysctlWrite {
  readonly name: string;
  readonly value: number;
  readonly before: number;
}

/** What came of {@link setUpConntrack}. */
export interface ConntrackOutcome {
  readonly written: readonly SysctlWrite[];
  /** Wanted, but not in this kernel or network namespace. */
  readonly absent: readonly string[];
  /** Each names one sysctl, the value it did not get, why, and what to do. */
  readonly failures: readonly KernelError[];
}

/** A value that a sysctl should have; of a floor more is as good. */
interface Wanted {
  readonly name: string;
  readonly value: number;
  readonly isFloor: boolean;
}

/** Most connections that `maxPerCore` asks for, however many CPUs there are; as kube-proxy 1.36 has it. */
const MOST_BY_CORES = 1_048_576;
/** Connections for each bucket of the hash table when the table is full; as kube-proxy has it. */
const LOAD_FACTOR = 4;

/**
 * The writes that the settings ask for (Documentation/networking/nf_conntrack-sysctl.rst).
 *
 * A limit that is already larger stays, and so does a limit of 0, which is none.
 *
 * @param cpus Number of CPUs of the machine.
 * @param current What the sysctls hold now, by name. A sysctl that is not here is not written.
 */
export function planConntrack(
  settings: ConntrackSettings,
  cpus: number,
  current: ReadonlyMap<string, number>,
): readonly SysctlWrite[] {
  return wantedSysctls(settings, cpus).flatMap(({ name, value, isFloor }) => {
    const before = current.get(name);
    if (before === undefined || before === value) return [];
    return isFloor && (before > value || before === 0) ? [] : [{ name, value, before }];
  });
}

/**
 * Reads what the kernel has and writes what the settings ask for. One sysctl that cannot be read or
 * written does not keep the others from being set.
 *
 * @param cpus Number of CPUs of the machine.
 */
export function setUpConntrack(
  settings: ConntrackSettings,
  cpus: number,
  sysctls: Sysctls,
): ConntrackOutcome {
  const absent: string[] = [];
  const failures: KernelError[] = [];
  const current = new Map<string, number>();
  for (const { name } of wantedSysctls(settings, cpus)) {
    const error = attempt(() => current.set(name, Number(sysctls.read(name))));
    if (error?.code === 'SY_KERNEL_NOT_FOUND') absent.push(name);
    else if (error !== undefined) failures.push(error);
  }
  const written = planConntrack(settings, cpus, current).filter(({ name, value }) => {
    const error = attempt(() => {
      sysctls.write(name, value);
    });
    if (error !== undefined) failures.push(error);
    return error === undefined;
  });
  return { written, absent, failures };
}

/**
 * Sets how readily the kernel ends this process when memory runs out.
 *
 * @param score From -1000 (never) to 1000 (first).
 * @returns Why it could not be set; the process works without.
 */
export function setUpOomScore(
  score: number,
  write: (score: number) => void,
): KernelError | undefined {
  return attempt(() => {
    write(score);
  });
}

function wantedSysctls(settings: ConntrackSettings, cpus: number): readonly Wanted[] {
  const { maxPerCore, min } = settings;
  const max = maxPerCore > 0 ? Math.max(Math.min(maxPerCore * cpus, MOST_BY_CORES), min) : 0;
  const wanted: readonly Wanted[] = [
    atLeast('nf_conntrack_max', max),
    // The same as /sys/module/nf_conntrack/parameters/hashsize, which some containers cannot write.
    atLeast('nf_conntrack_buckets', max / LOAD_FACTOR),
    exactly('nf_conntrack_tcp_timeout_established', settings.tcpEstablishedTimeout),
    exactly('nf_conntrack_tcp_timeout_close_wait', settings.tcpCloseWaitTimeout),
    exactly('nf_conntrack_tcp_be_liberal', settings.tcpBeLiberal ? 1 : 0),
    exactly('nf_conntrack_udp_timeout', settings.udpTimeout),
    exactly('nf_conntrack_udp_timeout_stream', settings.udpStreamTimeout),
  ];
  return wanted.filter(({ value }) => value > 0);
}

function atLeast(sysctl: string, value: number): Wanted {
  return { ...exactly(sysctl, value), isFloor: true };
}

function exactly(sysctl: string, value: number): Wanted {
  return { name: `net/netfilter/${sysctl}`, value: Math.floor(value), isFloor: false };
}

function attempt(work: () => unknown): KernelError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}
