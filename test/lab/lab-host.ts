/** One host of the lab as the tests see it: a thin handle on its agent process. */
import type {
  AgentCalls,
  Greeting,
  L4,
  LoopReport,
  ProbeParams,
  ProbeResult,
} from './agent/calls.ts';
import type { LineProcess } from './line-process.ts';

/** A TCP connection kept open by a host. */
export interface KeptConnection {
  readonly greeting: Greeting;
  /** Sends a line; resolves to true when it came back in time. */
  readonly echoes: (text: string) => Promise<boolean>;
  /** Ends it with a reset, unless it is told otherwise. */
  readonly close: (how?: 'reset' | 'fin') => Promise<void>;
}

/** How long an answer may take that is expected to come: a busy machine must not fail a test. */
const patience = 5000;

export class LabHost {
  readonly #agent: LineProcess<AgentCalls>;

  constructor(agent: LineProcess<AgentCalls>) {
    this.#agent = agent;
  }

  /** Asks the agent for any call it knows. */
  call<Name extends keyof AgentCalls>(
    name: Name,
    params: AgentCalls[Name]['params'],
  ): Promise<AgentCalls[Name]['result']> {
    return this.#agent.call(name, params);
  }

  /** Probes an address over TCP or UDP. */
  probe(protocol: L4, params: ProbeParams): Promise<readonly ProbeResult[]> {
    return this.#agent.call(protocol === 'TCP' ? 'tcp' : 'udp', params);
  }

  /** Opens a TCP connection and keeps it; throws when there is no answer. */
  async open(address: string, port: number): Promise<KeptConnection> {
    const params = { address, port, timeoutMs: patience };
    const { connection, greeting } = await this.#agent.call('open', params);
    return {
      greeting,
      echoes: (text) => this.#agent.call('send', { connection, text, timeoutMs: patience }),
      close: async (how = 'reset') => {
        await this.#agent.call('close', { connection, how });
      },
    };
  }

  /** Probes over and over until the function returned is called, which tells what it saw. */
  async loop(
    protocol: L4,
    params: ProbeParams & { readonly pauseMs: number },
  ): Promise<() => Promise<LoopReport>> {
    const { loop } = await this.#agent.call('startLoop', { protocol, ...params });
    return () => this.#agent.call('endLoop', { loop });
  }

  /** Kills the agent and waits until it is gone. */
  async stop(): Promise<void> {
    await this.#agent.kill();
  }
}
