/** Why an agent cannot start, or cannot do what it is asked for. */

/**
 * - `SY_BIND_FAILED`: an address cannot be listened on.
 * - `SY_CONFIG_INVALID`: options that contradict themselves or cannot be read.
 * - `SY_CONFIG_UNREADABLE`: a configuration file that is not there, is not text, or is too large.
 * - `SY_PLANE_UNUSABLE`: this kernel, or the rights of this process, do not allow what the mode needs.
 * - `SY_SWITCH_FAILED`: another mode was tried and does not work; the one before is in charge.
 * - `SY_SWITCH_JOURNAL`: what is remembered of mode switches cannot be read or written.
 * - `SY_SWITCH_REFUSED`: the agent cannot switch to this mode now.
 */
export type AgentErrorCode =
  | 'SY_BIND_FAILED'
  | 'SY_CONFIG_INVALID'
  | 'SY_CONFIG_UNREADABLE'
  | 'SY_PLANE_UNUSABLE'
  | 'SY_SWITCH_FAILED'
  | 'SY_SWITCH_JOURNAL'
  | 'SY_SWITCH_REFUSED';

/** The agent refuses to start, or to do what it is asked for. The message says what is wrong, where, and what to do. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
