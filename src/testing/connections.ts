/** The listening side: connections come, are counted, and can be cut. */
import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** Certificates as PEM. */
export interface TlsOptions {
  readonly certificate: string;
  readonly key: string;
  /** The authority that signed the certificate; kubeconfigs name it, and client certificates must be signed by it. */
  readonly authority: string;
  /** Ask clients for certificates. They need not have one. */
  readonly clientCertificates?: boolean;
}

/** Idle connections are closed after this, in milliseconds, as the API server does. */
const IDLE_MS = 90_000;

export class Connections implements AsyncDisposable {
  readonly #server: http.Server | https.Server;
  readonly #sockets = new Set<Socket>();
  readonly #host: string;
  #port: number;

  private constructor(
    handle: RequestListener,
    host: string,
    port: number,
    tls: TlsOptions | undefined,
  ) {
    this.#host = host;
    this.#port = port;
    const timing = { keepAliveTimeout: IDLE_MS, requestTimeout: 0 };
    this.#server =
      tls === undefined
        ? http.createServer(timing, handle)
        : https.createServer(
            {
              ...timing,
              cert: tls.certificate,
              key: tls.key,
              // Given without need, it would be sent along with the certificate.
              ca: tls.clientCertificates === true ? tls.authority : undefined,
              requestCert: tls.clientCertificates ?? false,
              rejectUnauthorized: false,
            },
            handle,
          );
    // The plain connection below TLS is the one that can be cut even before the handshake is done.
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Starts to listen; port 0 takes a free one. Rejects with the error of listen(). */
  static async open(
    handle: RequestListener,
    host: string,
    port: number,
    tls: TlsOptions | undefined,
  ): Promise<Connections> {
    const connections = new Connections(handle, host, port, tls);
    await connections.accept();
    return connections;
  }

  /** The address to connect to, as URLs have it. */
  get host(): string {
    if (this.#host === '0.0.0.0' || this.#host === '::') return '127.0.0.1';
    return this.#host.includes(':') ? `[${this.#host}]` : this.#host;
  }

  get port(): number {
    return this.#port;
  }

  /** Breaks all connections. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks all connections; new ones are refused until {@link accept}. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.drop();
    await closed;
  }

  /** Listens again, on the port it had. */
  async accept(): Promise<void> {
    if (this.#server.listening) return;
    const listening = once(this.#server, 'listening');
    this.#server.listen(this.#port, this.#host);
    await listening;
    const address: AddressInfo | string | null = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }
}
