/** Who holds the lock of the tables (`/run/xtables.lock`, flock(2)) that iptables-legacy waits for. */
import { readFile } from 'node:fs/promises';

/**
 * Tells who holds a lock that the process waits for, as proc(5) shows it: `process 4711 (iptables)`.
 * @returns `undefined` when it waits for none.
 */
export async function lockHolder(pid: number): Promise<string | undefined> {
  const holder = holderIn(await readFile('/proc/locks', 'utf8').catch(() => ''), pid);
  if (holder === undefined) return undefined;
  // Of another PID namespace: it has no number here.
  if (holder <= 0) return 'a process of another PID namespace';
  const name = await readFile(`/proc/${holder}/comm`, 'utf8').catch(() => '');
  return `process ${holder}${name === '' ? '' : ` (${name.trim()})`}`;
}

/** Finds in the text of `/proc/locks` who holds the lock that `pid` waits for; those who wait stand below who holds. */
export function holderIn(locks: string, pid: number): number | undefined {
  let holder: number | undefined;
  for (const line of locks.split('\n')) {
    const [, arrow, process] = /^\d+: (-> *)?FLOCK +\S+ +\S+ +(-?\d+) /.exec(line) ?? [];
    if (process === undefined) continue;
    if (arrow === undefined) holder = Number(process);
    else if (Number(process) === pid) return holder;
  }
  return undefined;
}
