/** `npm run bench -- ipvs`: boots user-mode Linux once and measures the ipvs plane and ipvsadm in it (guest.ts). */
import { execFileSync, spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runInUml, umlReason } from '../../test/lab/uml/uml.ts';
import { describeMachine } from '../machine.ts';
import { NODE_FLAGS } from '../network.ts';
import { writeResults } from '../write-results.ts';
import { type IpvsOptions, ipvsCommandLine } from './options.ts';
import { formatIpvsReport, judgeIpvs } from './report.ts';
import type { GuestResults } from './results.ts';

const MEMORY_MB = 2048;
const LIMIT_MS = 15 * 60_000;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** How often things are measured. */
interface Effort {
  readonly loads: number;
  /** At each number of Services; a multiple of 50. */
  readonly changes: number;
  readonly lists: number;
}

const EFFORT: Effort = { loads: 3, changes: 2000, lists: 5 };
const QUICK_EFFORT: Effort = { loads: 1, changes: 200, lists: 3 };

/** Why it cannot be measured on this machine, or `undefined` if it can. */
export function ipvsReason(): string | undefined {
  const isMissing = spawnSync('ipvsadm', ['--version']).error !== undefined;
  return umlReason() ?? (isMissing ? 'needs ipvsadm (Debian package ipvsadm)' : undefined);
}

/** Measures and reports. To be called where {@link ipvsReason} has no reason. */
export async function benchIpvs(
  options: IpvsOptions,
  progress: (text: string) => void,
): Promise<void> {
  progress('building dist/bin/switchyard.js');
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const started = new Date();
  const [before = 0] = loadavg();
  const measured = await measureInGuest(options.quick ? QUICK_EFFORT : EFFORT, progress);
  const [after = 0] = loadavg();
  const results = {
    version: 1,
    startedAt: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    commandLine: ipvsCommandLine(options),
    machine: describeMachine(),
    loadAverage: { before, after },
    ...measured,
  } as const;
  process.stdout.write(`\n${formatIpvsReport(results)}`);
  const kind = options.quick ? '-ipvs-quick' : '-ipvs';
  writeResults({ ...results, targets: judgeIpvs(results) }, kind, options.json);
}

async function measureInGuest(
  { loads, changes, lists }: Effort,
  progress: (text: string) => void,
): Promise<GuestResults> {
  const guest = fileURLToPath(new URL('guest.ts', import.meta.url));
  const bundle = fileURLToPath(new URL('../../dist/bin/switchyard.js', import.meta.url));
  const limit = AbortSignal.timeout(LIMIT_MS);
  let output = '';
  progress('booting user-mode Linux');
  const status = await runInUml({
    program: process.execPath,
    args: [...NODE_FLAGS, guest, ...[loads, changes, lists].map(String), bundle],
    cwd: root,
    env: process.env,
    memoryMb: MEMORY_MB,
    stdout: new Writable({
      decodeStrings: true,
      write: (chunk: Buffer, _, done) => {
        output += chunk.toString();
        done();
      },
    }),
    stderr: process.stderr,
    onBoot: () => undefined,
    signal: limit,
  });
  if (status !== 0) throw new Error(`measuring under user-mode Linux ended with ${status}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- guest.ts has just written it
  return JSON.parse(output) as GuestResults;
}
