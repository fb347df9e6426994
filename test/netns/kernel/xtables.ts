/** What the tests with the real tools of iptables have in common: the lock of these, and their processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** The lock of the machine is not ours to hold: tools that this process starts, and we, use another file. Returns it. */
export function useOwnLock(): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-iptables-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'lock');
  process.env['XTABLES_LOCKFILE'] = file;
  return file;
}

/** Starts another program that holds the lock until it is killed. */
export async function holdLock(file: string): Promise<ChildProcess> {
  const holder = spawn('flock', ['--no-fork', file, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return holder;
}

/** Kills the children of this process with a name, and says which those were. */
export function killChildren(name: string): readonly number[] {
  const found = childrenNamed(name);
  for (const pid of found) process.kill(pid, 'SIGKILL');
  return found;
}

/** Numbers of the children of this process with a name; the kernel cuts it to 15 characters. */
export function childrenNamed(name: string): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        const [, comm, state, parent] =
          /^\d+ \((.*)\) (\S) (\d+) /.exec(readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? [];
        return Number(parent) === process.pid && state !== 'Z' && comm === name.slice(0, 15);
      } catch {
        return false;
      }
    })
    .map(Number);
}
