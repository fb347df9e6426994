/**
 * `npm start`: Switchyard at work in network namespaces of this machine. Everything it prints is measured and checked
 * in that run; the first thing that is not as it should be ends it with exit code 1.
 *
 *     npm start [-- --keep]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DemoFailure } from './failure.ts';
import { keepRunning } from './keep.ts';
import { gainPrivileges } from './privileges.ts';
import { paint, Screen } from './screen.ts';
import { tellStory } from './story.ts';
import { World } from './world.ts';

/** The whole story takes about ten seconds. */
const longestMs = 120_000;
/** What a shell reports of a program that SIGINT ended. */
const interruptedExit = 130;

const screen = new Screen();
let step = 'set-up';
/** Set while somebody plays with what was kept: then an interruption is the regular end. */
let endKeep: (() => void) | undefined;

function onSignal(): void {
  if (endKeep !== undefined) {
    endKeep();
    return;
  }
  // Whatever exists by now is removed by listeners on `exit`.
  process.once('exit', () => {
    screen.notice('Interrupted: everything the demo made is removed.');
  });
  process.exit(interruptedExit);
}

function readOptions(): { readonly keep: boolean } {
  try {
    return parseArgs({ options: { keep: { type: 'boolean', default: false } } }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DemoFailure('SY_DEMO_USAGE', `${reason}\n  usage: npm start [-- --keep]`);
  }
}

async function run(): Promise<void> {
  const { keep } = readOptions();
  gainPrivileges();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  screen.progress('making namespaces and starting echo servers in them');
  const world = await World.open();
  try {
    await tellStory(world, screen, (name) => {
      step = name;
    });
    if (keep) {
      clearTimeout(watchdog);
      const { promise, resolve } = Promise.withResolvers<void>();
      endKeep = resolve;
      await keepRunning(world, screen, promise);
    }
    step = 'cleaning up';
  } finally {
    screen.progress('removing everything');
    await world.close();
  }
  screen.line(
    `${paint('green', 'It is over:')} all of it happened as shown; namespaces, processes and files of the demo are gone.`,
  );
}

function report(error: unknown): void {
  const known = error instanceof DemoFailure;
  const text = known ? error.message : String(error instanceof Error ? error.stack : error);
  screen.notice(`demo: failed at "${step}"${known ? ` (${error.code})` : ''}: ${text}`);
  process.exitCode = 1;
}

const watchdog = setTimeout(() => {
  report(new DemoFailure('SY_DEMO_CLAIM', `not done after ${longestMs / 1000} s`));
  process.exit();
}, longestMs);

try {
  await run();
} catch (error) {
  // A Ctrl-C ends our helpers a moment before we hear of it: what fails then is no failure.
  await sleep(100);
  report(error);
}
clearTimeout(watchdog);
