/** Names of the lab's namespaces, and their removal whatever happens to the test process. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Start of every namespace a lab makes; the process id follows. */
export const namespacesMade = 'switchyard-lab-';

interface Killable {
  readonly killNow: () => void;
}

interface Tracked {
  readonly namespaces: readonly string[];
  /** Filled while the lab is built. */
  readonly processes: readonly Killable[];
}

const tracked = new Map<string, Tracked>();

/** Those of `names` that belong to labs of processes that are gone. */
export function staleNamespaces(names: readonly string[]): readonly string[] {
  return names.filter((name) => {
    const [, pid] = /^switchyard-lab-(\d+)-/.exec(name) ?? [];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
}

/** Deletes namespaces; those that are not there are passed over. */
export function removeNamespaces(namespaces: readonly string[]): void {
  if (namespaces.length === 0) return;
  try {
    execFileSync('ip', ['-force', '-batch', '-'], {
      input: namespaces.map((name) => `netns del ${name}\n`).join(''),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  } catch {
    // `ip -force` goes on after a namespace that was never made, and says so at its end.
  }
}

function removeEverything(): void {
  for (const id of tracked.keys()) untrack(id);
}

function onSignal(signal: NodeJS.Signals): void {
  removeEverything();
  // Ours was the only listener of this kind; the second time the signal does what it always does.
  process.kill(process.pid, signal);
}

/** Registers a lab for removal at exit or on a signal. `processes` may grow later. */
export function track(
  id: string,
  namespaces: readonly string[],
  processes: readonly Killable[],
): void {
  if (tracked.size === 0) {
    process.on('exit', removeEverything);
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  }
  tracked.set(id, { namespaces, processes });
}

/** Kills a lab's processes and removes its namespaces now. */
export function untrack(id: string): void {
  const lab = tracked.get(id);
  if (lab === undefined) return;
  tracked.delete(id);
  for (const child of lab.processes) child.killNow();
  removeNamespaces(lab.namespaces);
  if (tracked.size === 0) {
    process.off('exit', removeEverything);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
