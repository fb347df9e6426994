/** The machine that is looked at. Only reads; everything that fails says why. */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { cpus, release } from 'node:os';
import { type Fact, known, unknown } from './facts/facts.ts';

/** What the doctor uses of a machine. */
export interface Machine {
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly cpus: number;
  /** Whether this process may look at those of others. */
  readonly isRoot: boolean;
  /** Output of a program. Its error output counts only when it fails. */
  readonly run: (program: string, args: readonly string[]) => Promise<Fact<string>>;
  /** Bytes of a file. */
  readonly readFile: (path: string) => Fact<Buffer>;
  /** Names in a folder, sorted; none where there is no folder. */
  readonly list: (path: string) => readonly string[];
  /** Where a symbolic link leads; `undefined` when it cannot be read. */
  readonly readLink: (path: string) => string | undefined;
  /** Answer of an HTTP server of this machine, on 127.0.0.1. */
  readonly get: (port: number, path: string) => Promise<Fact<string>>;
}

/** For all tools together there are 2 s; a listing of 100,000 rules needs more. */
const LONGEST_RUN_MS = 20_000;
const LONGEST_OUTPUT = 512 * 1024 * 1024;
const LONGEST_ANSWER_MS = 1000;

/** This machine, as this process sees it: its network namespace, its processes. */
export function openMachine(): Machine {
  return {
    release: release(),
    cpus: cpus().length,
    isRoot: process.geteuid?.() === 0,
    run,
    readFile: (path) => attempt(path, () => readFileSync(path)),
    list: (path) => {
      const names = attempt(path, () => readdirSync(path).toSorted());
      return names.known ? names.value : [];
    },
    readLink: (path) => {
      const target = attempt(path, () => readlinkSync(path));
      return target.known ? target.value : undefined;
    },
    get: getLocal,
  };
}

function attempt<T>(path: string, read: () => T): Fact<T> {
  try {
    return known(read());
  } catch (error) {
    return unknown(`${path} cannot be read (${codeOf(error)})`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function run(program: string, args: readonly string[]): Promise<Fact<string>> {
  const options = { timeout: LONGEST_RUN_MS, maxBuffer: LONGEST_OUTPUT };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(known(stdout));
      else if (error.code === 'ENOENT') resolve(unknown(`${program} is not installed`));
      else {
        const [said = ''] = stderr.trim().split('\n');
        resolve(unknown(`${program} failed: ${said === '' ? error.message : said}`));
      }
    });
  });
}

function getLocal(port: number, path: string): Promise<Fact<string>> {
  const place = `http://127.0.0.1:${port}${path}`;
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      resolve(unknown(`${place} does not answer (${why})`));
    };
    const request = get(place, { timeout: LONGEST_ANSWER_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => {
        fail(codeOf(error));
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(known(Buffer.concat(chunks).toString()));
        else fail(`status ${response.statusCode}`);
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => {
      fail(codeOf(error));
    });
  });
}
