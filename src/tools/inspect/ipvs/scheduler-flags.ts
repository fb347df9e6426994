/** Names of the flags of schedulers, as ipvsadm prints them (print_sched_flags()). */
import { SCHEDULER_FLAGS, type Scheduling } from '../../../kernel/ipvs/servers.ts';

/** Position is the number of the flag. */
const UNNAMED = ['flag-1', 'flag-2', 'flag-3'] as const;

/** The flags that are set and have a name: those of `sh` and `mh` their own, those of others a number. */
export function schedulerFlagNames({ scheduler, schedulerFlags }: Scheduling): readonly string[] {
  const named = Object.entries(SCHEDULER_FLAGS).filter(([name]) =>
    name.startsWith(`${scheduler}-`),
  );
  const flags = named.length > 0 ? named : UNNAMED.map((name, at) => [name, 1 << at] as const);
  return flags.filter(([, bit]) => (schedulerFlags & bit) !== 0).map(([name]) => name);
}
