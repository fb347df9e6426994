/** TCP connections a lab host keeps open, and loops that probe without end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import type { AgentCalls, Greeting, LoopReport } from './calls.ts';
import { greet, probes } from './probes.ts';

/** Connections that stay open over calls, by number. */
export class KeptConnections {
  readonly #sockets = new Map<number, Socket>();
  #next = 1;

  /** Opens a connection; throws when the server does not greet. */
  async open(
    params: AgentCalls['open']['params'],
  ): Promise<{ readonly connection: number; readonly greeting: Greeting }> {
    const { socket, greeting } = greet(params);
    const answer = await greeting;
    if (typeof answer === 'string') {
      socket.destroy();
      throw new Error(`no connection to ${params.address} port ${params.port}: ${answer}`);
    }
    const connection = this.#next++;
    this.#sockets.set(connection, socket);
    return { connection, greeting: answer };
  }

  /** Sends a line; true when the server echoed it in time. */
  async send({ connection, text, timeoutMs }: AgentCalls['send']['params']): Promise<boolean> {
    const socket = this.#socket(connection);
    if (socket.destroyed) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    let received = '';
    const onData = (data: Buffer): void => {
      received += data.toString();
      if (received.endsWith(`${text}\n`)) resolve(true);
    };
    const onClose = (): void => {
      resolve(false);
    };
    const timer = setTimeout(onClose, timeoutMs);
    socket.on('data', onData).once('close', onClose);
    socket.write(`${text}\n`);
    const echoed = await promise;
    clearTimeout(timer);
    socket.off('data', onData).off('close', onClose);
    return echoed;
  }

  /** Ends a connection, with a reset or with a FIN of each side. */
  async close({ connection, how }: AgentCalls['close']['params']): Promise<void> {
    const socket = this.#socket(connection);
    this.#sockets.delete(connection);
    if (socket.closed) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    socket.once('close', () => {
      resolve(undefined);
    });
    if (how === 'reset') socket.resetAndDestroy();
    else socket.end();
    await promise;
  }

  #socket(connection: number): Socket {
    const socket = this.#sockets.get(connection);
    if (socket === undefined) throw new Error(`no connection ${connection}`);
    return socket;
  }
}

interface Loop {
  ended: boolean;
  readonly report: Promise<LoopReport>;
}

/** Probe loops, by number. */
export class ProbeLoops {
  readonly #loops = new Map<number, Loop>();
  #next = 1;

  /** Starts a loop and returns its number once its first probe has ended. */
  async start(params: AgentCalls['startLoop']['params']): Promise<number> {
    const first = Promise.withResolvers<undefined>();
    const loop: Loop = {
      ended: false,
      report: run(params, first.resolve, () => loop.ended),
    };
    const number = this.#next++;
    this.#loops.set(number, loop);
    await first.promise;
    return number;
  }

  /** Ends a loop and returns what it saw. */
  end(number: number): Promise<LoopReport> {
    const loop = this.#loops.get(number);
    if (loop === undefined) throw new Error(`no loop ${number}`);
    loop.ended = true;
    this.#loops.delete(number);
    return loop.report;
  }
}

async function run(
  params: AgentCalls['startLoop']['params'],
  firstEnded: (value: undefined) => void,
  ended: () => boolean,
): Promise<LoopReport> {
  const failures: Record<string, number> = {};
  const servers: Record<string, number> = {};
  let firstFailure: LoopReport['firstFailure'];
  let count = 0;
  do {
    for (const result of await probes(params.protocol, params)) {
      count++;
      if (result.ok) servers[result.server] = (servers[result.server] ?? 0) + 1;
      else {
        failures[result.error] = (failures[result.error] ?? 0) + 1;
        firstFailure ??= { at: Date.now(), ms: result.ms };
      }
    }
    firstEnded(undefined);
    await sleep(params.pauseMs);
  } while (!ended());
  return { probes: count, failures, servers, ...(firstFailure && { firstFailure }) };
}
