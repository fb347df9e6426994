/**
 * The file of a socket, in a folder that only this user can write to: whoever can put files there could stand in for
 * the agent, or lead it to overwrite something. Nothing is followed or removed but a socket nobody listens on.
 */
import { chmodSync, linkSync, lstatSync, mkdirSync, rmSync, type Stats, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { AgentError } from '../errors.ts';
import { askStatus } from './ask.ts';

/** Bits of a mode: what group and others may write. */
const OTHERS_WRITE = 0o022;
/** Only the owner. */
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;

/** A running agent answers sooner, in milliseconds. */
const PATIENCE_MS = 1000;

/** What is at a path: nothing, or a socket that nobody listens on. */
export type Found = Stats | undefined;

/**
 * Makes the folder if it is missing, and looks at what is at the path of the socket.
 *
 * Rejects with an {@link AgentError} `SY_BIND_FAILED` when the folder is not safe, when something else is at the path,
 * or when somebody listens there.
 */
export async function prepareSocket(path: string): Promise<Found> {
  prepareFolder(path);
  const found = look(path);
  if (found === undefined) return undefined;
  if (!found.isSocket()) {
    throw failure(path, 'something that is no socket has this name: remove it, or choose another');
  }
  const holder = await whoListens(path);
  if (holder === undefined) return found;
  throw failure(path, `${holder} listens there: stop it, or choose another path for this one`);
}

/**
 * Puts a socket that listens at `temporary` in its place. It is whole and private from its first moment there.
 *
 * @param stale - As {@link prepareSocket} found it; what came since stays.
 */
export function publishSocket(temporary: string, path: string, stale: Found): Stats {
  chmodSync(temporary, PRIVATE_FILE);
  const own = lstatSync(temporary);
  try {
    if (stale !== undefined && isSame(look(path), stale)) unlinkSync(path);
    linkSync(temporary, path);
  } catch (error) {
    throw failure(path, `it cannot be put there (${reason(error)})`);
  } finally {
    rmSync(temporary, { force: true });
  }
  return own;
}

/** Removes the socket, unless another one is in its place. */
export function withdrawSocket(path: string, own: Stats): void {
  if (isSame(look(path), own)) rmSync(path, { force: true });
}

function prepareFolder(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { mode: PRIVATE_FOLDER });
  } catch (error) {
    if (!isCode(error, 'EEXIST')) {
      throw failure(
        path,
        `its folder cannot be made (${reason(error)}): make it, or choose another`,
      );
    }
  }
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) {
    throw failure(path, `${folder} is no folder (links are not followed): choose another`);
  }
  if (stats.uid !== process.geteuid?.() || (stats.mode & OTHERS_WRITE) !== 0) {
    throw failure(
      path,
      `others may write to ${folder}: chown it to the user of this process and chmod 700 it, or choose another`,
    );
  }
}

/** Who listens on a socket, in words; `undefined` when nobody does. */
async function whoListens(socket: string): Promise<string | undefined> {
  try {
    const question = { socket, path: '/v1/status', method: 'GET', timeoutMs: PATIENCE_MS } as const;
    const answer: unknown = JSON.parse(await text(await askStatus(question)));
    if (typeof answer === 'object' && answer !== null && 'pid' in answer && 'node' in answer) {
      return `another agent (process ${String(answer.pid)}, node ${String(answer.node)})`;
    }
  } catch (error) {
    if (isCode(error, 'ECONNREFUSED') || isCode(error, 'ENOENT')) return undefined;
  }
  return 'another process';
}

function look(path: string): Found {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isSame(one: Found, other: Stats): boolean {
  return one?.ino === other.ino && one.dev === other.dev;
}

function failure(path: string, why: string): AgentError {
  return new AgentError(
    'SY_BIND_FAILED',
    `Cannot listen on ${path} for the agent's status: ${why}.`,
  );
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
