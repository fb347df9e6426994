/**
 * A child process that is asked in JSON lines on its standard input and answers on its standard output, and the
 * side that answers. Both ends are files of this repository, so the call table is the contract and what comes
 * over the wire is trusted to follow it.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';

/** What a process can be asked: per call its parameters and its result, both plain JSON. */
export type CallTable = {
  readonly [name: string]: { readonly params: unknown; readonly result: unknown };
};

/** One function for each call of a table. */
export type CallHandlers<Calls extends CallTable> = {
  readonly [Name in keyof Calls]: (
    params: Calls[Name]['params'],
  ) => Calls[Name]['result'] | Promise<Calls[Name]['result']>;
};

interface Request {
  readonly id: number;
  readonly name: string;
  readonly params: unknown;
}

interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

interface Pending {
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Characters of a child's standard error that are kept for error messages. */
const stderrKept = 4000;

/** The asking side. */
export class LineProcess<Calls extends CallTable> {
  readonly #title: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #stderr = '';
  #gone: string | undefined;

  private constructor(title: string, child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#title = title;
    this.#child = child;
    const exited = Promise.withResolvers<undefined>();
    this.#exited = exited.promise;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrKept);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#answered(line);
    });
    // A child that is gone makes writes fail; `close` below tells the callers.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      this.#lost(`could not be started: ${error.message}`);
      exited.resolve(undefined);
    });
    child.on('close', (code, signal) => {
      this.#lost(`ended with ${signal ?? `exit code ${code}`}`);
      exited.resolve(undefined);
    });
  }

  /** Starts `command`; calls made before it is ready wait in its input. `title` names it in errors. */
  static start<Calls extends CallTable>(
    title: string,
    command: string,
    args: readonly string[],
  ): LineProcess<Calls> {
    return new LineProcess<Calls>(title, spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** Asks for one call. Rejects when the call throws in the child, or the child ends first. */
  async call<Name extends keyof Calls & string>(
    name: Name,
    params: Calls[Name]['params'],
  ): Promise<Calls[Name]['result']> {
    if (this.#gone !== undefined) throw new Error(this.#gone);
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { name, resolve, reject });
    const request: Request = { id, name, params };
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return promise;
  }

  /** Kills the child and waits until it is gone. */
  async kill(): Promise<void> {
    this.killNow();
    await this.#exited;
  }

  /** Kills the child without waiting, for the last moments of this process. */
  killNow(): void {
    this.#child.kill('SIGKILL');
  }

  #answered(line: string): void {
    const response = JSON.parse(line) as Response;
    const pending = this.#pending.get(response.id);
    this.#pending.delete(response.id);
    if (response.error === undefined) pending?.resolve(response.result);
    else pending?.reject(new Error(`${this.#title}: ${pending.name}: ${response.error}`));
  }

  #lost(reason: string): void {
    this.#gone ??= `${this.#title} ${reason}\n${this.#stderr}`.trimEnd();
    for (const pending of this.#pending.values()) pending.reject(new Error(this.#gone));
    this.#pending.clear();
  }
}

function answer(response: Response): void {
  process.stdout.write(`${JSON.stringify(response)}\n`);
}

/** The answering side: serves calls from standard input, several at a time, until the input ends; then exits. */
export function serveCalls<Calls extends CallTable>(handlers: CallHandlers<Calls>): void {
  const serve = async (line: string): Promise<void> => {
    const { id, name, params } = JSON.parse(line) as Request;
    try {
      const handler = handlers[name];
      if (handler === undefined) throw new Error(`unknown call ${name}`);
      answer({ id, result: await handler(params) });
    } catch (error) {
      answer({
        id,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => void serve(line));
  lines.on('close', () => {
    process.exit(0);
  });
}
