/** Clients of a Service. */
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Between two calls, in milliseconds. */
const PAUSE_MS = 5;
/** A call that takes longer has failed, in milliseconds. */
const PATIENCE_MS = 3000;

/** A connection that stays open. */
export class Caller implements Disposable {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Rejects when the connection does not come about. */
  static async connect(host: string, port: number): Promise<Caller> {
    const socket = net.connect({ host, port });
    await once(socket, 'connect', { signal: AbortSignal.timeout(PATIENCE_MS) });
    return new Caller(socket);
  }

  /** Calls again and again, each time on a new connection. */
  static keepCalling(host: string, port: number): Calls {
    return new Calls(host, port);
  }

  /** Sends a text and waits until it comes back. Rejects when the connection is gone, or nothing comes. */
  async echo(text: string): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    this.#socket.write(text);
    const [answer] = (await once(this.#socket, 'data', { signal })) as [Buffer];
    if (answer.toString() !== text) throw new Error(`${text} came back as ${answer.toString()}`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** What became of calls. */
interface CallReport {
  readonly succeeded: number;
  /** Error of each call that failed. */
  readonly failures: readonly string[];
}

/** Calls that go on until they are stopped. */
class Calls implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #done: Promise<CallReport>;

  constructor(host: string, port: number) {
    this.#done = this.#call(host, port);
  }

  /** Ends with the call that is under way. */
  async stop(): Promise<CallReport> {
    this.#stop.abort();
    return this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #call(host: string, port: number): Promise<CallReport> {
    let succeeded = 0;
    const failures: string[] = [];
    while (!this.#stop.signal.aborted) {
      try {
        using caller = await Caller.connect(host, port);
        await caller.echo('hello');
        succeeded++;
      } catch (error) {
        failures.push(String(error));
      }
      await setTimeout(PAUSE_MS);
    }
    return { succeeded, failures };
  }
}
