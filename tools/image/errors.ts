/** What can be wrong when an image is built. */

/**
 * `SY_IMAGE_USAGE`: an option that does not exist. `SY_IMAGE_INCOMPLETE`: a file that belongs into the
 * image is missing here. `SY_IMAGE_PATH`: a path that the archive cannot hold.
 */
export type ImageErrorCode = 'SY_IMAGE_USAGE' | 'SY_IMAGE_INCOMPLETE' | 'SY_IMAGE_PATH';

/** The image cannot be built; the message says what is in the way and what to do. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
