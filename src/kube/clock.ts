/** Time as the client uses it. Both clocks are passed in, so that tests can turn them by hand. */
export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back and never jumps. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** Milliseconds since 1970. Jumps when somebody sets the time; only what is dated by others is compared with it. */
export type WallTime = () => number;

/** Waits, or returns as soon as the signal aborts. */
export async function sleep(
  ms: number,
  clock: Pick<Clock, 'after'>,
  signal: AbortSignal,
): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  const wake = (): void => {
    resolve();
  };
  signal.addEventListener('abort', wake);
  await promise;
  signal.removeEventListener('abort', wake);
  cancel();
}
