/** What can go wrong with the place the manifests come from. Faults inside of files are problems, not errors. */

/** What is wrong with the path given: nothing there, or it cannot be read. */
export type ManifestErrorCode = 'SY_MANIFESTS_MISSING' | 'SY_MANIFESTS_UNREADABLE';

/** The manifests cannot be read at all. The message says what to do. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code: ManifestErrorCode;

  constructor(code: ManifestErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
