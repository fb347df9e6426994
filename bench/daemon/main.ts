/** `npm run bench -- agent`: measures the bundled daemon in a network namespace of its own. */
import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from '../machine.ts';
import { Network } from '../network.ts';
import { writeResults } from '../write-results.ts';
import { measureDaemon } from './measure.ts';
import { type DaemonOptions, daemonCommandLine } from './options.ts';
import { formatDaemonReport, judgeDaemon } from './report.ts';
import type { DaemonResults } from './results.ts';

/** Measures and reports. */
export async function benchDaemon(
  options: DaemonOptions,
  progress: (text: string) => void,
): Promise<void> {
  const bundle = options.bundle === undefined ? build(progress) : resolve(options.bundle);
  const results = await measure(options, bundle, progress);
  process.stdout.write(`\n${formatDaemonReport(results)}`);
  const kind = options.quick ? '-agent-quick' : '-agent';
  writeResults({ ...results, targets: judgeDaemon(results) }, kind, options.json);
}

function build(progress: (text: string) => void): string {
  progress('building dist/bin/switchyard.js');
  const root = fileURLToPath(new URL('../..', import.meta.url));
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  return fileURLToPath(new URL('../../dist/bin/switchyard.js', import.meta.url));
}

async function measure(
  options: DaemonOptions,
  bundle: string,
  progress: (text: string) => void,
): Promise<DaemonResults> {
  const started = new Date();
  const [loadBefore = 0] = loadavg();
  using network = Network.open(1);
  const measured = await measureDaemon(network, options, bundle, progress);
  const [loadAfter = 0] = loadavg();
  const { services, endpoints, ratePerSecond } = options;
  return {
    version: 1,
    startedAt: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    commandLine: daemonCommandLine(options),
    machine: describeMachine(),
    loadAverage: { before: loadBefore, after: loadAfter },
    services,
    endpoints,
    ratePerSecond,
    ...measured,
  };
}
