/** A command line that cannot be obeyed; the message says why. */
export class UsageError extends Error {}
