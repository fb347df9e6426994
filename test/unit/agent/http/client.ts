/** Clients of the servers under test, all on loopback. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { type Address, parseAddress } from '../../../../src/core/ip.ts';

/** An answer as it came. */
export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A question. Everything but the port has a default. */
export interface Question {
  readonly port: number | undefined;
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly accept?: string;
  readonly body?: string;
}

/** An address that is known to be one. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

/** Asks on a connection of its own. Rejects with the error of the connection. */
export async function ask({ port, host, path, method, accept, body }: Question): Promise<Reply> {
  const request = http.request({
    host: host ?? '127.0.0.1',
    port,
    path: path ?? '/',
    method: method ?? 'GET',
    headers: accept === undefined ? {} : { accept },
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const piece of response) text += String(piece);
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}

/** True when nothing listens there. */
export async function isRefused(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = net.connect(port, host);
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

/** A connection that says what a test wants it to say. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  /** All that came, up to now. */
  text = '';
  /** Resolves when the connection is gone, for whatever reason. */
  readonly gone: Promise<void>;

  private constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('data', (data) => {
      this.text += data.toString();
    });
    this.socket.on('error', () => undefined);
    this.gone = new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve();
      });
    });
  }

  static async connect(port: number | undefined): Promise<RawClient> {
    const client = new RawClient(port ?? 0);
    await once(client.socket, 'connect');
    return client;
  }

  /** Resolves when `text` has come. Rejects when the connection is gone before. */
  async saw(text: string): Promise<void> {
    while (!this.text.includes(text)) {
      if (this.socket.destroyed) throw new Error(`gone before ${JSON.stringify(text)}`);
      await Promise.race([once(this.socket, 'data'), this.gone]);
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A port that somebody else has. */
export class TakenPort implements AsyncDisposable {
  readonly #server = net.createServer();

  static async take(port = 0, host = '127.0.0.1'): Promise<TakenPort> {
    const taken = new TakenPort();
    taken.#server.listen({ port, host, ipv6Only: true });
    await once(taken.#server, 'listening');
    return taken;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async free(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.free();
  }
}

/**
 * A port that was free a moment ago, for a server whose port must be known. Not one of those that
 * connections begin at (ip_local_port_range), or it would soon be taken again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    try {
      await using taken = await TakenPort.take(randomInt(20_000, 30_000));
      return taken.port;
    } catch {
      continue;
    }
  }
}

/** Why tests of IPv6 cannot run here; `false` when they can. */
export async function lacksIPv6(): Promise<string | false> {
  try {
    await using _taken = await TakenPort.take(0, '::1');
    return false;
  } catch {
    return 'this machine has no ::1';
  }
}
