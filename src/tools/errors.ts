/** Why a tool cannot answer. */

/**
 * - `SY_AGENT_ANSWER`: the agent of this machine gives no answer that can be used.
 * - `SY_AGENT_STARTING`: it does not serve yet.
 * - `SY_FACTS_INVALID`: a file of facts cannot be read, or says what no fact can be.
 * - `SY_MEASURE_FAILED`: a process that measures failed or ended.
 * - `SY_MEASURE_IMPOSSIBLE`: rights or Services are missing that measuring needs.
 * - `SY_MEASURE_STOPPED`: somebody stopped measuring.
 * - `SY_MIGRATE_CHANGED`: somebody else changed the ConfigMap meanwhile.
 * - `SY_MIGRATE_UNREADABLE`: what should be the configuration of kube-proxy is something else.
 * - `SY_CAPTURE_UNUSABLE`: what the doctor is to look at, or a folder for it, cannot be read or written.
 * - `SY_NO_AGENT`: there is none.
 * - `SY_NO_SUCH_SERVER`: IPVS has no virtual server of that address.
 * - `SY_OWNER_RUNNING`: a proxy still runs that must be stopped before.
 * - `SY_SWITCH_FAILED`: another mode was tried and does not work; the one before is in charge.
 * - `SY_SWITCH_REFUSED`: the agent cannot switch to this mode now, or kube-proxy's place cannot be taken or given back.
 * - `SY_UNDO_BUNDLE`: what a take-over removes, or removed, cannot be kept, read or loaded.
 * - `SY_UNDO_STALE`: what a take-over removed leads to endpoints that are gone.
 */
export type ToolErrorCode =
  | 'SY_AGENT_ANSWER'
  | 'SY_AGENT_STARTING'
  | 'SY_FACTS_INVALID'
  | 'SY_MEASURE_FAILED'
  | 'SY_MEASURE_IMPOSSIBLE'
  | 'SY_MEASURE_STOPPED'
  | 'SY_MIGRATE_CHANGED'
  | 'SY_MIGRATE_UNREADABLE'
  | 'SY_CAPTURE_UNUSABLE'
  | 'SY_NO_AGENT'
  | 'SY_NO_SUCH_SERVER'
  | 'SY_OWNER_RUNNING'
  | 'SY_SWITCH_FAILED'
  | 'SY_SWITCH_REFUSED'
  | 'SY_UNDO_BUNDLE'
  | 'SY_UNDO_STALE';

/** A tool cannot answer. The message says what was asked for, why there is no answer, and what to do. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: ToolErrorCode;

  constructor(code: ToolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
