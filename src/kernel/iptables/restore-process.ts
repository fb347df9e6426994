/** One iptables-restore that reads what it is to do from a pipe, as long as it lives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { KernelError } from '../errors.ts';
import type { RestoreEnd } from './restore-error.ts';

/**
 * `--verbose`: it repeats our comments, and flushes what it prints when it does. That is how we know how far it is.
 * `--wait`: for the lock of the tables, without end; by default it would give up at once.
 */
const ARGUMENTS = ['--noflush', '--verbose', '--wait'] as const;
const MARK = '# switchyard';
const LONGEST_SAID = 16_384;

/** Input that ends with a mark: one table, or nothing at all. */
export interface Section {
  readonly text: string;
  /** Lines in it. */
  readonly lines: number;
}

/** What came of some sections. */
export interface Outcome {
  /** Sections that were carried out. */
  readonly confirmed: number;
  /** What was printed. */
  readonly printed: readonly string[];
  /** Line of the first section, counted from 1 since the process began. */
  readonly firstLine: number;
  /** The process ended before it was through. */
  readonly end: RestoreEnd | undefined;
}

interface Request {
  readonly sections: number;
  readonly firstLine: number;
  readonly printed: string[];
  readonly resolve: (outcome: Outcome) => void;
  confirmed: number;
}

/** A running process. It does not keep this one alive while it is idle. */
export class RestoreProcess {
  readonly #program: string;
  /** Without streams where it could not be started for want of files. */
  readonly #child: ChildProcess;
  #request: Request | undefined;
  #end: RestoreEnd | undefined;
  #error: KernelError | undefined;
  #lines = 0;
  #rest = '';
  #said = '';

  constructor(program: string) {
    this.#program = program;
    this.#child = spawn(program, ARGUMENTS, { stdio: ['pipe', 'pipe', 'pipe'] });
    // First of all: an error that nobody listens to ends this process.
    this.#child.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = startError(program, error);
      this.#ended('an error');
    });
    const { stdin, stdout, stderr } = this.#child;
    // It ended: that is told by its end.
    stdin?.on('error', () => undefined);
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#read(text);
    });
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#said.length < LONGEST_SAID) this.#said += text;
    });
    this.#child.on('close', (status, signal) => {
      this.#ended(signal ?? `status ${status}`);
    });
    this.#keepAlive(false);
  }

  /** Its number, while it runs. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Resolves when all is carried out, or the process has ended. @throws KernelError It could not be started. */
  async carryOut(sections: readonly Section[]): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const firstLine = this.#lines + 1;
    let input = '';
    for (const { text, lines } of sections) {
      input += `${text}${MARK}\n`;
      this.#lines += lines + 1;
    }
    this.#said = '';
    this.#request = { sections: sections.length, firstLine, printed: [], resolve, confirmed: 0 };
    if (this.#end === undefined) {
      this.#keepAlive(true);
      this.#child.stdin?.write(input);
    } else {
      this.#settle();
    }
    const outcome = await promise;
    if (this.#error !== undefined) throw this.#error;
    return outcome;
  }

  /** Ends it: after what it does, or at once if it does something. */
  close(): void {
    if (this.#request === undefined) this.#child.stdin?.end();
    else this.#child.kill();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    const request = this.#request;
    if (request === undefined) return;
    for (const line of lines) {
      if (line === MARK) request.confirmed += 1;
      else request.printed.push(line);
    }
    if (request.confirmed === request.sections) this.#settle();
  }

  #ended(how: string): void {
    this.#end ??= { program: this.#program, how, said: this.#said };
    this.#settle();
  }

  #settle(): void {
    const request = this.#request;
    if (request === undefined) return;
    this.#request = undefined;
    this.#keepAlive(false);
    const { confirmed, printed, firstLine, sections } = request;
    const end = confirmed === sections ? undefined : this.#end;
    request.resolve({ confirmed, printed, firstLine, end });
  }

  #keepAlive(isBusy: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const each of [stdin, stdout, stderr].filter((stream) => stream instanceof Socket)) {
      if (isBusy) each.ref();
      else each.unref();
    }
    if (isBusy) this.#child.ref();
    else this.#child.unref();
  }
}

function startError(program: string, error: NodeJS.ErrnoException): KernelError {
  if (error.code === 'ENOENT') return missingProgram(program);
  const code = error.code === 'EACCES' ? 'SY_KERNEL_PERMISSION' : 'SY_KERNEL_CALL';
  return new KernelError(`starting ${program}: ${error.message}`, { code, cause: error });
}

/** What to do where it is missing or too old. */
export const INSTALL =
  'Install iptables 1.8.5 or later (the package iptables of Debian 11, Ubuntu 22.04 or later).';

/** For a program that is not on the PATH. */
export function missingProgram(program: string): KernelError {
  return new KernelError(
    `running ${program}: the program is not there. ${INSTALL} If it is installed, put it on the PATH.`,
    { code: 'SY_KERNEL_UNSUPPORTED' },
  );
}
