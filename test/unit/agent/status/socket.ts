/** A folder for sockets, and asking them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { askStatus } from '../../../../src/agent/status/ask.ts';
import { StatusServer, type StatusPages } from '../../../../src/agent/status/status-server.ts';
import { FakeClock } from '../fakes.ts';

/** A folder that goes away. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'switchyard-status-'));

  file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

type PageOf<T> = T extends ReadonlyMap<string, infer Page> ? Page : never;

/** A server and all that it told. */
export class ServerUnderTest implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  /** Questions so far to `/v1/status`. */
  questions = 0;
  readonly server: StatusServer;

  constructor(path: string, pages: StatusPages = new Map()) {
    this.server = new StatusServer({
      path,
      pages: new Map(
        [...pages].map(([name, page]) => [name, name === '/v1/status' ? this.#count(page) : page]),
      ),
      clock: this.clock,
      events: {
        listening: (where) => this.told.push(`listening at ${where}`),
        failed: (error) => this.told.push(`failed: ${String(error)}`),
        fault: (error) => this.told.push(`fault: ${String(error)}`),
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }

  #count({ GET: handle }: PageOf<StatusPages>): PageOf<StatusPages> {
    if (handle === undefined) return {};
    return {
      GET: (request) => {
        this.questions++;
        return handle(request);
      },
    };
  }
}

/** An answer, read to its end. */
export interface Reply {
  readonly status: number | undefined;
  readonly allow: string | undefined;
  readonly body: string;
}

/** Asks, and reads the whole answer. */
export async function ask(
  socket: string,
  path: string,
  method: 'GET' | 'POST' = 'GET',
): Promise<Reply> {
  const response = await askStatus({ socket, path, method, timeoutMs: 10_000 });
  return {
    status: response.statusCode,
    allow: response.headers.allow,
    body: await text(response),
  };
}
