/** Why an address cannot be listened on, in words. */

/** A port that cannot be had. */
export interface BindFailure {
  /** Name of the error (errno.h), such as `EADDRINUSE`. */
  readonly cause: string;
  /** `address:port`. */
  readonly where: string;
  /** What failed, where, why, and what to do. */
  readonly message: string;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this process may not use ports below 1024: run it as root or choose another port',
  EADDRINUSE: 'something else listens there: stop it or choose another port',
  EADDRNOTAVAIL: 'no interface has this address: add it or choose another one',
  EAFNOSUPPORT: 'this kernel has no support for the family of this address: choose another one',
};

/** Puts an error of listen() into words. */
export function bindFailure(purpose: string, where: string, error: unknown): BindFailure {
  const cause = errorName(error);
  const reason = REASONS[cause] ?? String(error);
  return {
    cause,
    where,
    message: `Cannot listen on ${where} for ${purpose} (${cause}): ${reason}.`,
  };
}

/** True when the machine has no addresses of that family at all. */
export function meansLacking(cause: string): boolean {
  return cause === 'EAFNOSUPPORT' || cause === 'EADDRNOTAVAIL';
}

function errorName(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return error.code;
  return 'unknown';
}
