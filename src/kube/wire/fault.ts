/**
 * - `malformed`: the bytes are not what the format asks for.
 * - `truncated`: they end too early.
 * - `too-large`: a piece is larger than anything a real server sends.
 */
export type FaultKind = 'malformed' | 'truncated' | 'too-large';

/** Why bytes of an API server could not be read. Who knows the server and the request makes a KubeError of it. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
  readonly kind: FaultKind;

  /** `message` says what is wrong, as part of a sentence. */
  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Bytes that are not what the format asks for. */
export function malformed(message: string): WireFault {
  return new WireFault('malformed', message);
}
