/** Where an API server is and how to prove who we are, wherever that was written. */
import type { Clock, WallTime } from '../core/clock.ts';

/** A text that may change while the process runs. */
export interface Source {
  /**
   * The text as of now, or of at most a minute ago.
   * @throws KubeError CREDENTIALS: it cannot be had and never could.
   */
  read(): string;
  /** What was read last did not do: the next {@link read} looks again. */
  expire(): void;
}

/** What a request carries to prove who we are. All of it may be missing. */
export interface Identity {
  /** Value of the header `Authorization`. */
  readonly authorization: string | undefined;
  /** Client certificate and its key, both in PEM. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Says who we are. */
export interface Credentials {
  /**
   * The identity as of now. Rejects with KubeError CREDENTIALS.
   */
  identity(): Promise<Identity>;
  /** The server did not accept the last identity: the next one is made anew. */
  expire(): void;
}

/** Everything a connection needs. */
export interface ApiAccess {
  /** `https` or `http`, with the path that all requests begin with. */
  readonly server: URL;
  /** Certificates in PEM of those who may vouch for the server; `undefined`: those Node.js knows. */
  readonly ca: Source | undefined;
  /** Name that the server's certificate must have; `undefined`: the host in `server`. */
  readonly serverName: string | undefined;
  /** Accept any certificate of the server. */
  readonly insecure: boolean;
  readonly credentials: Credentials;
  /** `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` and their lower-case forms. */
  readonly proxyEnv: Environment;
}

/** What access depends on besides what is written down. */
export interface AccessOptions {
  /** Environment of this process. */
  readonly env: Environment;
  readonly clock: Pick<Clock, 'now'>;
  readonly wallTime: WallTime;
}

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A text that does not change. */
export function fixed(text: string): Source {
  return { read: () => text, expire: () => undefined };
}
