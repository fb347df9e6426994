/** What can go wrong with the stand-in API server: wrong use of it, and refused requests. */
import type { JsonObject } from './json.ts';

export type TestingErrorCode =
  'SY_TESTING_UNKNOWN_KIND' | 'SY_TESTING_BAD_OBJECT' | 'SY_TESTING_BAD_OPTION';

/** The caller asked the stand-in server for something it does not have. The message says what to do. */
export class TestingError extends Error {
  override readonly name = 'TestingError';
  readonly code: TestingErrorCode;

  constructor(code: TestingErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A request is refused; the Status (meta/v1) is the answer to it. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  /** HTTP status code. */
  readonly code: number;
  readonly status: JsonObject;

  constructor(code: number, status: JsonObject, message: string) {
    super(message);
    this.code = code;
    this.status = status;
  }
}
