/**
 * What the operating system and Node.js say about this process. prom-client's own default metrics cannot be
 * chosen one by one, and start observers that nobody can stop.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Counter } from 'prom-client';
import type { MetricSet } from './metric-set.ts';

/** Asks for the values of `process_*` and `nodejs_*`. Takes one turn of the event loop. */
export async function readProcess(set: MetricSet): Promise<void> {
  const { heapTotal, heapUsed, external, rss } = process.memoryUsage();
  set.gauge('nodejs_heap_size_total_bytes').set(heapTotal);
  set.gauge('nodejs_heap_size_used_bytes').set(heapUsed);
  set.gauge('nodejs_external_memory_bytes').set(external);
  set.gauge('process_resident_memory_bytes').set(rss);
  // What is in /proc is made up by the kernel on the spot: there is nothing to wait for.
  const status = readFileSync('/proc/self/status', 'latin1');
  set.gauge('process_virtual_memory_bytes').set(number(/^VmSize:\s+(\d+) kB/m, status) * 1024);
  const limits = readFileSync('/proc/self/limits', 'latin1');
  set.gauge('process_max_fds').set(number(/^Max open files\s+(\d+)/m, limits));
  // One of them is the folder that is being read.
  set.gauge('process_open_fds').set(readdirSync('/proc/self/fd').length - 1);
  const { user, system } = process.cpuUsage();
  setTotal(set.counter('process_cpu_seconds_total'), (user + system) / 1e6);
  const { active } = performance.eventLoopUtilization();
  setTotal(set.counter('switchyard_event_loop_busy_seconds_total'), active / 1000);
  const asked = performance.now();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  set.gauge('nodejs_eventloop_lag_seconds').set((performance.now() - asked) / 1000);
}

/** Seconds since 1970 at which this process began. `now` is in milliseconds. */
export function processStart(now: number): number {
  return now / 1000 - process.uptime();
}

/** Sets a counter without labels that somebody else counts. */
function setTotal(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}

/** The number that `pattern` finds, +Inf where there is none: an unlimited number of files. */
function number(pattern: RegExp, text: string): number {
  return Number(pattern.exec(text)?.[1] ?? Infinity);
}
