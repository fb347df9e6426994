import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Machine } from './results.ts';
import type { Target } from './targets.ts';

/** What every run says of itself. */
interface Run {
  /** RFC 3339. */
  readonly startedAt: string;
  readonly machine: Machine;
  readonly targets: readonly Target[];
}

/** Writes results as JSON into `file`, or into bench/results under a name that tells date, machine and `kind`. */
export function writeResults(results: Run, kind: string, file = defaultFile(results, kind)): void {
  writeFileSync(file, `${JSON.stringify(results, rounded, 2)}\n`);
  process.stdout.write(`Written to ${file}\n`);
}

function defaultFile({ startedAt, machine }: Run, kind: string): string {
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const kernel = machine.kernel.split('.', 2).join('.');
  const where = `linux-${kernel}-${machine.architecture}-${machine.processors}cpu`;
  return fileURLToPath(new URL(`${startedAt.slice(0, 10)}-${where}${kind}.json`, folder));
}

/** More digits than were measured would only make files large. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value;
}
