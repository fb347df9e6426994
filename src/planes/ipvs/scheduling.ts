/** How virtual servers choose: from what a Service asks for and what this kernel has. */
import { type Family, addressLength } from '../../core/ip.ts';
import type { Scheduler } from '../../core/model.ts';
import type { Route, Target } from '../../core/route.ts';
import { SCHEDULER_FLAGS, type Scheduling } from '../../kernel/ipvs/servers.ts';
import type { Notice } from '../plane.ts';

/** A scheduler with its flags, as {@link Scheduling} has them. */
export type Choice = Pick<Scheduling, 'scheduler' | 'schedulerFlags'>;

/** Says whether the kernel has a scheduler. */
export type HasScheduler = (name: string) => boolean;

/** What was chosen for a Route, and what of its wishes was not granted. */
export interface ChosenScheduler extends Choice {
  readonly notice: Notice | undefined;
}

/** Schedulers that pass over weights, and those that do the same with them. */
const WEIGHTED: ReadonlyMap<string, string> = new Map([
  ['rr', 'wrr'],
  ['lc', 'wlc'],
]);

const FLAGS: ReadonlyMap<string, number> = new Map(Object.entries(SCHEDULER_FLAGS));

/**
 * A real server with weight 0 keeps its place in the tables of these while it drains: without the flag IPVS would
 * refuse the clients it falls to.
 */
const FALLBACK: ReadonlyMap<string, number> = new Map([
  ['sh', SCHEDULER_FLAGS['sh-fallback']],
  ['mh', SCHEDULER_FLAGS['mh-fallback']],
]);

/** False for a scheduler that goes on choosing a real server with weight 0, and has no flag against it. */
export function canDrain(scheduler: string): boolean {
  return scheduler !== 'dh';
}

/** The scheduler of Services that ask for none. `mh` hashes ports as well, as kube-proxy has it. */
export function defaultChoice(scheduler: string): Choice {
  const flags = scheduler === 'mh' ? SCHEDULER_FLAGS['mh-port'] : 0;
  return { scheduler, schedulerFlags: flags | (FALLBACK.get(scheduler) ?? 0) };
}

/** Chooses for a Route: its own wish if the kernel grants it, else the default, with weights if it has any. */
export function chooseScheduler(
  { scheduler: wish, internal, external }: Pick<Route, 'scheduler' | 'internal' | 'external'>,
  byDefault: Choice,
  has: HasScheduler,
): ChosenScheduler {
  if (wish !== undefined && has(wish.name)) return wished(wish);
  const notice: Notice | undefined =
    wish === undefined
      ? undefined
      : {
          about: 'scheduler',
          text: `This kernel has no IPVS scheduler ${wish.name} (module ip_vs_${wish.name}); ${byDefault.scheduler} is used.`,
        };
  const isWeighted = hasWeights(internal) || (external !== internal && hasWeights(external));
  const weighted = isWeighted ? WEIGHTED.get(byDefault.scheduler) : undefined;
  if (weighted === undefined || !has(weighted)) return { ...byDefault, notice };
  return { scheduler: weighted, schedulerFlags: 0, notice };
}

/** Schedulers of which {@link chooseScheduler} and {@link markScheduling} may want to know for a Route. */
export function schedulersFor(
  { scheduler, affinitySeconds, externalFromInside, internal, external }: Route,
  byDefault: Choice,
): readonly string[] {
  const weighted = WEIGHTED.get(byDefault.scheduler);
  const needsHashing = affinitySeconds !== undefined && externalFromInside !== undefined;
  return [
    ...(scheduler === undefined ? [] : [scheduler.name]),
    ...(weighted !== undefined && [internal, external].some(hasWeights) ? [weighted] : []),
    ...(needsHashing ? ['mh'] : []),
  ];
}

/** What a virtual server is to be, for a Route with or without affinity. */
export function scheduling(
  choice: Choice,
  family: Family,
  affinitySeconds: number | undefined,
): Scheduling {
  return {
    scheduler: choice.scheduler,
    schedulerFlags: choice.schedulerFlags,
    onePacket: false,
    persistence:
      affinitySeconds === undefined
        ? undefined
        : { seconds: affinitySeconds, prefix: addressLength(family) * 8 },
    persistenceEngine: undefined,
  };
}

/**
 * What the virtual server of a firewall mark is to be. IPVS would send the connections of a persistent one to
 * the port of the frontend (ip_vs_sched_persist()), so clients are kept by their hash instead.
 */
export function markScheduling(
  choice: Choice,
  family: Family,
  affinitySeconds: number | undefined,
  has: HasScheduler,
): Scheduling {
  const scheduler = has('mh') ? 'mh' : 'sh';
  const hashing = { scheduler, schedulerFlags: FALLBACK.get(scheduler) ?? 0 };
  return scheduling(affinitySeconds === undefined ? choice : hashing, family, undefined);
}

/** True when two are the same. */
export function isSameScheduling(one: Scheduling, other: Scheduling): boolean {
  return (
    one.scheduler === other.scheduler &&
    one.schedulerFlags === other.schedulerFlags &&
    one.onePacket === other.onePacket &&
    one.persistenceEngine === other.persistenceEngine &&
    one.persistence?.seconds === other.persistence?.seconds &&
    one.persistence?.prefix === other.persistence?.prefix
  );
}

function wished({ name, flags }: Scheduler): ChosenScheduler {
  const known = flags.filter((flag) => flag.startsWith(`${name}-`) && FLAGS.has(flag));
  const unknown = flags.filter((flag) => !known.includes(flag));
  return {
    scheduler: name,
    schedulerFlags: known.reduce(
      (mask, flag) => mask | (FLAGS.get(flag) ?? 0),
      FALLBACK.get(name) ?? 0,
    ),
    notice:
      unknown.length === 0
        ? undefined
        : {
            about: 'other',
            text: `The scheduler ${name} has no flag ${unknown.join(', ')}; it is used without.`,
          },
  };
}

function hasWeights(target: Target): boolean {
  if (target.kind !== 'endpoints') return false;
  const [first] = target.endpoints;
  return target.endpoints.some(({ weight }) => weight !== first?.weight);
}
