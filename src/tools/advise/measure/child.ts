/**
 * A process that is handed one job and gives back one result, over the channel of `node:child_process`. Both ends are this
 * program, so what comes over the channel is trusted to be what the types say. The child ends when its parent does.
 */
import { spawn } from 'node:child_process';
import { ToolError } from '../../errors.ts';
import type { JobOf, ResultOf, Role } from './roles.ts';

/** A process to start. */
export interface ChildOptions {
  /** Names it in errors. */
  readonly title: string;
  /** Program and arguments, to which the role is added. The channel must reach the program that calls {@link serveJob}. */
  readonly command: readonly string[];
  /** Kills it. */
  readonly signal: AbortSignal;
  /** What it says of its progress. */
  readonly onProgress: (text: string) => void;
}

type Message<R extends Role> =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'result'; readonly result: ResultOf<R> }
  | { readonly kind: 'failure'; readonly text: string };

/** Characters of a child's standard error that are kept for the message. */
const STDERR_KEPT = 2000;

/**
 * Starts a process, hands over the job and waits for the result and the end of the process.
 *
 * Rejects with a {@link ToolError} `SY_MEASURE_FAILED`, and with the reason of the signal.
 */
export async function runChild<R extends Role>(
  role: R,
  job: JobOf<R>,
  { title, command, signal, onProgress }: ChildOptions,
): Promise<ResultOf<R>> {
  signal.throwIfAborted();
  const [program = '', ...args] = command;
  const child = spawn(program, [...args, role], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    // So that Ctrl-C reaches the parent only, which then ends everything.
    detached: true,
  });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', kill);
  process.on('exit', kill);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  const { promise, resolve, reject } = Promise.withResolvers<ResultOf<R>>();
  const fail = (reason: string): void => {
    reject(new ToolError('SY_MEASURE_FAILED', `Measuring failed in ${title}: ${reason}`));
  };
  let outcome: Message<R> | undefined;
  child.on('message', (raw) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- serveJob() has sent it
    const message = raw as Message<R>;
    if (message.kind === 'progress') onProgress(message.text);
    else outcome = message;
  });
  child.on('error', (error) => {
    fail(`${program} could not be run: ${error.message}`);
  });
  child.on('close', (code, by) => {
    if (outcome?.kind === 'result') resolve(outcome.result);
    else fail(outcome?.kind === 'failure' ? outcome.text : `it ended (${by ?? code}). ${stderr}`);
  });
  // What fails to be sent is told by the end of the process.
  child.send(job, () => undefined);
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
    process.off('exit', kill);
  }
}

/** The other side: takes the job, sends the result, and ends the process. Never resolves. */
export async function serveJob<R extends Role>(
  run: (job: JobOf<R>, onProgress: (text: string) => void) => Promise<ResultOf<R>>,
): Promise<never> {
  process.once('disconnect', () => process.exit(1));
  const send = async (message: Message<R>): Promise<void> =>
    new Promise((resolve) => {
      process.send?.(message, undefined, undefined, () => {
        resolve();
      });
    });
  const job = await new Promise<JobOf<R>>((resolve) => {
    process.once('message', resolve);
  });
  try {
    const result = await run(job, (text) => {
      void send({ kind: 'progress', text });
    });
    await send({ kind: 'result', result });
  } catch (error) {
    await send({ kind: 'failure', text: error instanceof Error ? error.message : String(error) });
  }
  // Sockets that are still open must not keep it alive.
  process.exit(0);
}
