/** Why bytes of an API server could not be read. Whoever knows the server and the request makes an error of it. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
  readonly kind: 'malformed' | 'too large';

  /** `message` is what is wrong, as the end of a sentence. */
  constructor(kind: WireFault['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Bytes that are not what the format asks for. */
export function malformed(message: string): WireFault {
  return new WireFault('malformed', message);
}
