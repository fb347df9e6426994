/**
 * Text for people: `SY_…: message` of our own errors, which say what to do. Everything else is a fault of
 * this program and keeps its stack, for the report that it deserves.
 */
export function describeError(error: unknown): string {
  const code = errorCode(error);
  if (error instanceof Error)
    return code === undefined ? (error.stack ?? error.message) : `${code}: ${error.message}`;
  return String(error);
}

/** The stable code of one of our own errors. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && error.code.startsWith('SY_') ? error.code : undefined;
}
