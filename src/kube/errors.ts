/** What can go wrong between this node and the Kubernetes API. */

/**
 * Settings, which do not heal by themselves:
 * - `CONFIG_MISSING`: nothing says where the API server is.
 * - `CONFIG_INVALID`: a kubeconfig, or what it refers to, cannot be understood.
 * - `CONFIG_UNSUPPORTED`: it asks for something this client does not do.
 *
 * The way to the server:
 * - `CREDENTIALS`: a token, certificate or plugin that should prove who we are cannot be had.
 * - `UNKNOWN_HOST`, `UNREACHABLE`: no such name, or nobody there.
 * - `TLS`: one side does not accept the certificate of the other.
 * - `TIMEOUT`: no connection or no answer in time.
 * - `SILENT`: an answer began, and nothing more of it came, over a connection that is alive.
 * - `DROPPED`: the connection ended in the middle of an answer.
 *
 * Its answers:
 * - `UNAUTHORIZED` (401), `FORBIDDEN` (403), `NOT_FOUND` (404), `THROTTLED` (429), `REFUSED` (any other
 *   4xx), `SERVER` (5xx).
 * - `EXPIRED` (410): the server no longer has the version that was asked for.
 * - `VERSION_AHEAD` (504, ResourceVersionTooLarge): it does not have it yet, or never will.
 * - `NOT_KUBERNETES`: an answer that no API server gives, such as a web page.
 * - `MALFORMED`, `TOO_LARGE`: an answer that cannot be read, or is larger than it can be.
 * - `BACKWARDS`: an event that is older than one that came before it.
 * - `EMPTY`: a list without objects where there were some.
 */
export type KubeErrorCode =
  | 'SY_KUBE_CONFIG_MISSING'
  | 'SY_KUBE_CONFIG_INVALID'
  | 'SY_KUBE_CONFIG_UNSUPPORTED'
  | 'SY_KUBE_CREDENTIALS'
  | 'SY_KUBE_UNKNOWN_HOST'
  | 'SY_KUBE_UNREACHABLE'
  | 'SY_KUBE_TLS'
  | 'SY_KUBE_TIMEOUT'
  | 'SY_KUBE_SILENT'
  | 'SY_KUBE_DROPPED'
  | 'SY_KUBE_UNAUTHORIZED'
  | 'SY_KUBE_FORBIDDEN'
  | 'SY_KUBE_NOT_FOUND'
  | 'SY_KUBE_THROTTLED'
  | 'SY_KUBE_REFUSED'
  | 'SY_KUBE_SERVER'
  | 'SY_KUBE_EXPIRED'
  | 'SY_KUBE_VERSION_AHEAD'
  | 'SY_KUBE_NOT_KUBERNETES'
  | 'SY_KUBE_MALFORMED'
  | 'SY_KUBE_TOO_LARGE'
  | 'SY_KUBE_BACKWARDS'
  | 'SY_KUBE_EMPTY';

/** What an error can say besides its message. */
export interface KubeErrorDetails {
  /** HTTP status of the answer. */
  readonly status?: number | undefined;
  /** Time the server asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Something failed. The message says what, at which server, why, and what to do. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: KubeErrorCode, message: string, details: KubeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}
