/** A real server on loopback, whose answers a test writes itself. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https, { type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type ApiAccess, fixed } from '../../../src/kube/access.ts';
import { sourceCredentials } from '../../../src/kube/credentials.ts';
import type { ApiRequest } from '../../../src/kube/transport.ts';

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

export class ScriptedServer implements AsyncDisposable {
  readonly requests: IncomingMessage[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: http.Server | https.Server;
  readonly #scheme: string;

  private constructor(server: http.Server | https.Server, scheme: string, handle: Handle) {
    this.#server = server;
    this.#scheme = scheme;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.requests.push(request);
      handle(request, response);
    });
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(handle: Handle, tls?: ServerOptions): Promise<ScriptedServer> {
    const server = tls === undefined ? http.createServer() : https.createServer(tls);
    const scripted = new ScriptedServer(server, tls === undefined ? 'http' : 'https', handle);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

/** Access to a server, without credentials unless they are given. */
export function accessTo(url: string, fields: Partial<ApiAccess> = {}, ca?: string): ApiAccess {
  return {
    server: new URL(url),
    ca: ca === undefined ? undefined : fixed(ca),
    serverName: undefined,
    insecure: false,
    credentials: sourceCredentials({}),
    proxyEnv: {},
    ...fields,
  };
}

/** A request for Services. */
export function get(fields: Partial<ApiRequest> = {}): ApiRequest {
  return {
    purpose: 'list Services',
    method: 'GET',
    path: '/api/v1/services?limit=500',
    accept: 'application/json',
    signal: new AbortController().signal,
    ...fields,
  };
}

/** Answers with a body. */
export function reply(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': type, ...headers }).end(body);
}
