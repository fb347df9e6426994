/** Annotations by which a Service, or a slice, asks for more than the Kubernetes API can say. */
import { parseAddress } from '../ip.ts';
import type { Scheduler, Weights } from '../model.ts';
import { describe, report } from './fields.ts';
import type { Cursor } from './fields.ts';

/** In this order; the later ones are names that kube-router and widely read articles use. */
const SCHEDULER = [
  'switchyard.dev/ipvs-scheduler',
  'kube-router.io/service.scheduler',
  'ipvs.scheduler',
] as const;
const SCHEDULER_FLAGS = [
  'switchyard.dev/ipvs-scheduler-flags',
  'kube-router.io/service.schedflags',
] as const;
const WEIGHT = 'switchyard.dev/weight';
const DRAIN_SECONDS = 'switchyard.dev/drain-seconds';

/** Names of all annotations that are read here. */
export const TUNING_ANNOTATIONS: readonly string[] = [
  ...SCHEDULER,
  ...SCHEDULER_FLAGS,
  WEIGHT,
  DRAIN_SECONDS,
];

/** Weights go into the number of slots of an endpoint (nftables) and into the kernel's schedulers (ipvs). */
const MAX_WEIGHT = 1000;
const MAX_DRAIN_SECONDS = 86_400;
/** IP_VS_SCHEDNAME_MAXLEN (linux/ip_vs.h) without the terminating zero, and the characters that modules have. */
const SCHEDULER_NAME = /^[a-z][a-z0-9_]{0,14}$/;
const FLAG_NAME = /^[a-z]+-[a-z0-9]+$/;

/** The scheduler that a Service asks for; the kernel decides whether it has it. */
export function readScheduler(annotations: Cursor): Scheduler | undefined {
  const effect = 'the scheduler of the mode is used';
  const named = first(annotations, SCHEDULER);
  if (named === undefined) return undefined;
  const name = named.text.trim();
  if (!SCHEDULER_NAME.test(name)) {
    report(annotations, named.key, `${describe(named.text)} is no name of a scheduler; ${effect}`);
    return undefined;
  }
  return { name, flags: readFlags(annotations) };
}

function readFlags(annotations: Cursor): readonly string[] {
  const given = first(annotations, SCHEDULER_FLAGS);
  if (given === undefined) return [];
  const flags: string[] = [];
  for (const word of given.text.split(',')) {
    const flag = word.trim();
    if (FLAG_NAME.test(flag)) flags.push(flag);
    else
      report(annotations, given.key, `${describe(word)} is no flag such as mh-port; it is ignored`);
  }
  return [...new Set(flags)].toSorted();
}

/** Weights by address or zone: `3`, or `10.0.0.1=3,zone-a=2,*=1`. */
export function readWeights(annotations: Cursor): Weights | undefined {
  const given = first(annotations, [WEIGHT]);
  if (given === undefined) return undefined;
  const by = new Map<string, number>();
  for (const part of given.text.split(',')) {
    const [left = '', right] = part.split('=').map((side) => side.trim());
    const [key, digits] = right === undefined ? ['*', left] : [left, right];
    const weight = /^\d{1,4}$/.test(digits) ? Number(digits) : Number.NaN;
    if (key === '' || !(weight <= MAX_WEIGHT)) {
      const form = `a weight from 0 to ${MAX_WEIGHT}, as 3 or 10.0.0.1=3,zone-a=2`;
      report(annotations, given.key, `${describe(part)} is not ${form}; it is ignored`);
    } else by.set(parseAddress(key) ?? key, weight);
  }
  return by.size === 0 ? undefined : by;
}

/** Longest time that connections to an endpoint that goes away may last, in seconds. */
export function readDrainSeconds(annotations: Cursor): number | undefined {
  const given = first(annotations, [DRAIN_SECONDS]);
  if (given === undefined) return undefined;
  const seconds = /^\d{1,5}$/.test(given.text.trim()) ? Number(given.text) : Number.NaN;
  if (seconds <= MAX_DRAIN_SECONDS) return seconds;
  const range = `must be whole seconds from 0 to ${MAX_DRAIN_SECONDS}`;
  report(annotations, given.key, `${range}, not ${describe(given.text)}; the default is used`);
  return undefined;
}

/** The first of these annotations that is there. */
function first(
  annotations: Cursor,
  keys: readonly string[],
): { readonly key: string; readonly text: string } | undefined {
  for (const key of keys) {
    const value = annotations.fields[key];
    if (typeof value === 'string') return { key, text: value };
    if (value !== undefined && value !== null) {
      report(annotations, key, `must be a string, not ${describe(value)}; it is ignored`);
    }
  }
  return undefined;
}
