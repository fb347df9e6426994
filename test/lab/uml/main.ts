/**
 * Runs a command under user-mode Linux and exits as it does: `node test/lab/uml/main.ts COMMAND [ARGUMENT…]`.
 *
 * Where that cannot be done it says why in one line, and exits with 0, or with 1 where `CI` is set: there nothing
 * may be skipped. The guest is killed on a signal, at the time limit, and when there is nobody left to read.
 */
import { runInUml, umlReason } from './uml.ts';

const memoryMb = 1024;
const limitMs = 22 * 60_000;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function say(text: string): void {
  process.stderr.write(`uml: ${text}\n`);
}

function skip(reason: string): number {
  const mustRun = !['', '0', 'false'].includes(process.env['CI'] ?? '');
  say(mustRun ? `FAILED: ${reason}` : `skipped: ${reason}`);
  return mustRun ? 1 : 0;
}

async function run(program: string, args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => stop.abort(signal);
  const onError = (): void => stop.abort('nobody reads the output any more');
  const limit = setTimeout(() => stop.abort(`not done after ${limitMs / 1000} s`), limitMs);
  // A parent that is killed outright sends no signal.
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) stop.abort('the parent process is gone');
  }, 500);
  for (const signal of signals) process.on(signal, onSignal);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onError);
  const started = performance.now();
  try {
    return await runInUml({
      program,
      args,
      memoryMb,
      cwd: process.cwd(),
      env: process.env,
      stdout: process.stdout,
      stderr: process.stderr,
      onBoot: () => say(`booted in ${((performance.now() - started) / 1000).toFixed(1)} s`),
      signal: stop.signal,
    });
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${stop.signal.aborted ? String(stop.signal.reason) : cause}`);
    return 1;
  } finally {
    clearTimeout(limit);
    clearInterval(watch);
    for (const signal of signals) process.off(signal, onSignal);
    // The signal does what it always does, now that the guest is gone.
    const signal = signals.find((name) => name === stop.signal.reason);
    if (signal !== undefined) process.kill(process.pid, signal);
  }
}

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  say('no command given: node test/lab/uml/main.ts COMMAND [ARGUMENT…]');
  process.exitCode = 64;
} else {
  const reason = umlReason();
  process.exitCode = reason === undefined ? await run(program, args) : skip(reason);
}
