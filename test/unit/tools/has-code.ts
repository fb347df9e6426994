/** Checks of errors that tools throw. */

/** A check for `assert.throws()` and `assert.rejects()`: an error of this code, with such a message. */
export function hasCode(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error && 'code' in error && error.code === code && message.test(error.message);
}
