/** Reads the bodies of answers. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { type Attempt, droppedError, silentError } from './failures.ts';

/** What ends the reading of a body before its end. */
export interface BodyLimits {
  /** Longest time between two pieces, in milliseconds. */
  readonly idleMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Bytes read of an answer that refuses. */
const MAX_BEGINNING = 64 * 1024;

/**
 * Reads a body to its end. Rejects with what `onChunk` throws, with KubeError DROPPED or SILENT, or with
 * the signal's reason; the connection is closed then.
 */
export async function readBody(
  response: IncomingMessage,
  attempt: Attempt,
  { idleMs, clock, signal }: BodyLimits,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error: unknown): void => {
    reject(error);
    // What else is in the parser must not reach `onChunk` any more.
    response.removeAllListeners('data');
    response.destroy();
  };
  let lastAt = clock.now();
  let cancel = clock.after(idleMs, look);
  // One timer that looks again, not a new one for each chunk.
  function look(): void {
    const left = lastAt + idleMs - clock.now();
    if (left > 0) cancel = clock.after(left, look);
    else fail(silentError(attempt, idleMs));
  }
  response.on('data', (chunk: Buffer) => {
    lastAt = clock.now();
    try {
      onChunk(chunk);
    } catch (error) {
      fail(error);
    }
  });
  response.on('end', resolve);
  response.on('error', (error) => {
    fail(signal.aborted ? signal.reason : droppedError(attempt, error));
  });
  response.on('close', () => {
    fail(signal.aborted ? signal.reason : droppedError(attempt));
  });
  // Nothing would tell of an end that came before there was anybody to listen.
  if (response.destroyed) fail(droppedError(attempt));
  try {
    await promise;
  } finally {
    cancel();
  }
}

/** The first bytes of a body that need not be complete. */
export async function readBeginning(
  response: IncomingMessage,
  read: (onChunk: (chunk: Buffer) => void) => Promise<void>,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    await read((chunk) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_BEGINNING) response.destroy();
    });
  } catch {
    // What there is says enough.
  }
  return Buffer.concat(chunks);
}
