/** Turns what a connection or an answer failed with into errors that say what to do. */
import { KubeError, type KubeErrorCode, type KubeErrorDetails } from './errors.ts';
import { WireFault } from './wire/fault.ts';
import { type Status, parseStatus } from './wire/status.ts';
import { formatOf } from './wire/wire.ts';

/** What was tried, and where, in the words of a message. */
export interface Attempt {
  /** Such as `list Services`. */
  readonly purpose: string;
  /** URL of the server. */
  readonly server: string;
}

/** Codes of the system calls and of Node.js, and what they mean here. */
const CONNECTION: Readonly<Record<string, readonly [KubeErrorCode, string, string]>> = {
  ENOTFOUND: [
    'SY_KUBE_UNKNOWN_HOST',
    'there is no such host',
    'Correct the server’s name, or DNS.',
  ],
  EAI_AGAIN: ['SY_KUBE_UNKNOWN_HOST', 'no DNS server answers', 'Check /etc/resolv.conf and DNS.'],
  ECONNREFUSED: [
    'SY_KUBE_UNREACHABLE',
    'nobody listens there',
    'Check that the API server runs and that address and port are right.',
  ],
  EHOSTUNREACH: [
    'SY_KUBE_UNREACHABLE',
    'the host cannot be reached',
    'Check routes and firewalls.',
  ],
  ENETUNREACH: ['SY_KUBE_UNREACHABLE', 'there is no route to it', 'Check this node’s routes.'],
  ETIMEDOUT: ['SY_KUBE_TIMEOUT', 'the host does not answer', 'Check routes and firewalls.'],
  ECONNRESET: ['SY_KUBE_DROPPED', 'the connection was cut', 'It is tried again.'],
  EPIPE: ['SY_KUBE_DROPPED', 'the connection was cut', 'It is tried again.'],
};

const RENEW = 'Renew it, or check the clocks of both machines.';
const TRUST = 'Check certificate-authority in the kubeconfig: it must be the CA of this cluster.';

/** Codes of certificates that are refused. */
const CERTIFICATE: Readonly<Record<string, readonly [string, string]>> = {
  CERT_HAS_EXPIRED: ['the server’s certificate has expired', RENEW],
  CERT_NOT_YET_VALID: ['the server’s certificate is not valid yet', RENEW],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['nobody we trust vouches for the server’s certificate', TRUST],
  UNABLE_TO_GET_ISSUER_CERT: ['nobody we trust vouches for the server’s certificate', TRUST],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    'nobody we trust vouches for the server’s certificate',
    TRUST,
  ],
  SELF_SIGNED_CERT_IN_CHAIN: ['nobody we trust vouches for the server’s certificate', TRUST],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['nobody we trust vouches for the server’s certificate', TRUST],
  CERT_SIGNATURE_FAILURE: ['the signature of the server’s certificate is wrong', TRUST],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'the server’s certificate is for another name',
    'Use a name the certificate has, or set tls-server-name.',
  ],
};

const CLIENT_CERTIFICATE =
  'Check client-certificate and client-key, and whether they have expired.';

/** The error for what a connection failed with. */
export function connectionError(attempt: Attempt, cause: unknown): KubeError {
  if (cause instanceof KubeError) return cause;
  const code = codeOf(cause);
  const known = CONNECTION[code];
  if (known !== undefined) return failure(attempt, known[0], known[1], known[2], { cause });
  const certificate = CERTIFICATE[code];
  if (certificate !== undefined) return failure(attempt, 'SY_KUBE_TLS', ...certificate, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  // As OpenSSL names them: ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED, ERR_OSSL_X509_KEY_VALUES_MISMATCH.
  if (/^ERR_O?SSL_.*(?:CERTIFICATE|KEY|PEM)|^ERR_SSL_.*ALERT/.test(code)) {
    return failure(attempt, 'SY_KUBE_TLS', reason, CLIENT_CERTIFICATE, { cause });
  }
  if (/^ERR_O?SSL_|^EPROTO$/.test(code)) {
    const advice = 'Check that the port speaks TLS, or use http:// in the server’s URL.';
    return failure(attempt, 'SY_KUBE_TLS', reason, advice, { cause });
  }
  if (code.startsWith('HPE_')) {
    const advice = 'Check address and port.';
    return failure(attempt, 'SY_KUBE_NOT_KUBERNETES', 'the answer is no HTTP', advice, { cause });
  }
  const advice = 'Check the network between this node and the server.';
  return failure(attempt, 'SY_KUBE_UNREACHABLE', reason, advice, { cause });
}

/** The error for something that did not come in time. */
export function timeoutError(attempt: Attempt, what: string, ms: number): KubeError {
  const reason = `${what} within ${ms / 1000} s`;
  return failure(attempt, 'SY_KUBE_TIMEOUT', reason, 'Check the server’s load and the network.');
}

/** The error for an answer of which nothing more comes. */
export function silentError(attempt: Attempt, ms: number): KubeError {
  const reason = `the answer began, and then nothing more came for ${ms / 1000} s`;
  const advice = 'Check the server’s load, and proxies between it and this node.';
  return failure(attempt, 'SY_KUBE_SILENT', reason, advice);
}

/** The error for an answer that ended before it was complete. */
export function droppedError(attempt: Attempt, cause?: unknown): KubeError {
  const reason = 'the connection ended in the middle of the answer';
  return failure(attempt, 'SY_KUBE_DROPPED', reason, 'It is tried again.', { cause });
}

/** The error for a body that cannot be read; any other error stays what it is. */
export function bodyError(attempt: Attempt, cause: unknown): unknown {
  if (!(cause instanceof WireFault)) return cause;
  if (cause.kind === 'truncated') return droppedError(attempt, cause);
  const code = cause.kind === 'too-large' ? 'SY_KUBE_TOO_LARGE' : 'SY_KUBE_MALFORMED';
  const advice = 'Check what stands between this node and the API server. It is tried again.';
  return failure(attempt, code, cause.message, advice, { cause });
}

/** The error for an answer that is not the object that was asked for. */
export function notKubernetes(attempt: Attempt, what: string, status?: number): KubeError {
  const advice = 'Check that the URL is that of an API server and not of a proxy or login page.';
  return failure(attempt, 'SY_KUBE_NOT_KUBERNETES', `the answer is ${what}`, advice, { status });
}

/** An answer that refuses. */
export interface Refusal {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly retryAfter: string | undefined;
  /** The body, or its beginning. */
  readonly body: Buffer;
}

/** The error for an answer with an HTTP status that is no success. */
export function refusalError(attempt: Attempt, refusal: Refusal): KubeError {
  const format = formatOf(refusal.contentType);
  const status = format && parseStatus(format, refusal.body);
  if (status !== undefined) return statusError(attempt, status, refusal);
  if (refusal.status >= 300 && refusal.status < 400) {
    return notKubernetes(attempt, `a redirect (HTTP ${refusal.status})`, refusal.status);
  }
  const type = refusal.contentType ?? 'no type';
  return classify(attempt, {
    ...refusal,
    reason: '',
    causes: [],
    text: `HTTP ${refusal.status} with a body of ${type}`,
    retryAfterMs: retryAfter(refusal.retryAfter),
  });
}

/** The error for a Status object. `refusal` is the answer it came in; there is none for events of a watch. */
export function statusError(
  attempt: Attempt,
  { code, reason, message, causes, retryAfterSeconds }: Status,
  refusal?: Refusal,
): KubeError {
  const status = refusal?.status ?? code;
  const seconds = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
  return classify(attempt, {
    status,
    reason,
    causes,
    text: `${message === '' ? 'no message' : message} (${reason === '' ? '' : `${reason}, `}HTTP ${status})`,
    retryAfterMs: retryAfter(refusal?.retryAfter) ?? seconds,
  });
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly string[];
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

const BY_STATUS: Readonly<Record<number, readonly [KubeErrorCode, string]>> = {
  401: ['SY_KUBE_UNAUTHORIZED', 'Check the token or certificate, and whether it has expired.'],
  403: ['SY_KUBE_FORBIDDEN', 'Bind the ClusterRole system:node-proxier to this user.'],
  404: [
    'SY_KUBE_NOT_FOUND',
    'Check that the cluster has this resource and the URL has no wrong path.',
  ],
  410: ['SY_KUBE_EXPIRED', 'Everything is listed anew.'],
  429: ['SY_KUBE_THROTTLED', 'It is tried again when the server allows.'],
};

function classify(
  attempt: Attempt,
  { status, reason, causes, text, retryAfterMs }: Answer,
): KubeError {
  const details = { status, retryAfterMs };
  if (causes.includes('ResourceVersionTooLarge')) {
    const advice = 'The newest objects are listed instead.';
    return failure(attempt, 'SY_KUBE_VERSION_AHEAD', text, advice, details);
  }
  const [code, advice] = BY_STATUS[reason === 'Expired' || reason === 'Gone' ? 410 : status] ?? [
    status >= 500 ? 'SY_KUBE_SERVER' : 'SY_KUBE_REFUSED',
    'See the log of the API server.',
  ];
  return failure(attempt, code, text, advice, details);
}

/** An error about an attempt. `reason` completes the sentence `Cannot … at …: `. */
export function failure(
  { purpose, server }: Attempt,
  code: KubeErrorCode,
  reason: string,
  advice: string,
  details?: KubeErrorDetails,
): KubeError {
  return new KubeError(code, `Cannot ${purpose} at ${server}: ${reason}. ${advice}`, details);
}

/** Milliseconds in a header `Retry-After`, of which API servers use the form in seconds. */
function retryAfter(header: string | undefined): number | undefined {
  const seconds = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : 0;
  return seconds > 0 ? seconds * 1000 : undefined;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}
