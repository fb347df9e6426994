/**
 * Runs the suites of `npm test` that take long in lanes, side by side: user-mode Linux keeps little more than half a
 * processor busy. A suite prints in one piece when it is over.
 *
 *     node tools/test/lanes.ts SUITE,SUITE… SUITE…      (npm scripts; one argument a lane)
 */
import { type ChildProcess, spawn } from 'node:child_process';

const running = new Set<ChildProcess>();

/** Resolves to whether the suite is green. */
async function runSuite(script: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const said: Buffer[] = [];
  const child = spawn('npm', ['run', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => said.push(data));
  }
  child.on('error', ({ message }) => said.push(Buffer.from(`${message}\n`)));
  child.on('close', (status) => {
    running.delete(child);
    process.stdout.write(Buffer.concat(said));
    resolve(status === 0);
  });
  return promise;
}

/** All suites of a lane run, whatever comes of the ones before. */
async function runLane(lane: string): Promise<boolean> {
  let isGreen = true;
  for (const script of lane.split(',')) isGreen = (await runSuite(script)) && isGreen;
  return isGreen;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
  });
}

const lanes = process.argv.slice(2);
process.stdout.write(
  `\nSide by side: ${lanes.map((lane) => lane.replaceAll(',', ', then ')).join(' | ')}. Each prints when it is over.\n`,
);
const results = await Promise.all(lanes.map(runLane));
if (results.includes(false)) process.exitCode = 1;
