/** Why a tool cannot answer. */

/** - `SY_NO_SUCH_SERVER`: IPVS has no virtual server of that address. */
export type ToolErrorCode = 'SY_NO_SUCH_SERVER';

/** A tool cannot answer. The message says what was asked for, why there is no answer, and what to do. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: ToolErrorCode;

  constructor(code: ToolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
