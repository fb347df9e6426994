/** What the agent process of a lab host can be asked. Everything here is plain JSON. */

export type L4 = 'TCP' | 'UDP';

/** How a probe that got no answer ended. `timeout`: nothing came back at all. */
export type ProbeError = 'refused' | 'timeout' | 'unreachable' | 'reset';

/** What an echo server says of a connection or a datagram: who it is, and what it saw. */
export interface Greeting {
  readonly server: string;
  /** Source address and port of the client as the server sees them. */
  readonly peer: string;
  readonly peerPort: number;
  /** The server's own address and port. */
  readonly local: string;
  readonly localPort: number;
}

export type ProbeResult =
  | ({ readonly ok: true; readonly ms: number } & Greeting)
  | { readonly ok: false; readonly ms: number; readonly error: ProbeError };

/** `count` probes of one address, at most `parallel` at a time, each with its own socket. */
export interface ProbeParams {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly count?: number;
  readonly parallel?: number;
  readonly sourceAddress?: string;
  /** Fixed source port; only sensible with one probe at a time. */
  readonly sourcePort?: number;
}

/** A server on every combination of addresses and ports. */
export interface ListenParams {
  readonly server: string;
  readonly protocol: L4;
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

/** What a probe loop saw: how many probes it made, and how many ended in which error or at which server. */
export interface LoopReport {
  readonly probes: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly servers: Readonly<Record<string, number>>;
  /** When the first failure came (Unix milliseconds), and how long that probe took. */
  readonly firstFailure?: { readonly at: number; readonly ms: number };
}

export type AgentCalls = {
  readonly listen: { readonly params: ListenParams; readonly result: null };
  /** Closes listeners and cuts the TCP connections they accepted. */
  readonly unlisten: {
    readonly params: Omit<ListenParams, 'server'>;
    readonly result: null;
  };
  readonly tcp: { readonly params: ProbeParams; readonly result: readonly ProbeResult[] };
  readonly udp: { readonly params: ProbeParams; readonly result: readonly ProbeResult[] };
  /** Opens a TCP connection that stays; `connection` is its number. */
  readonly open: {
    readonly params: Omit<ProbeParams, 'count' | 'parallel'>;
    readonly result: { readonly connection: number; readonly greeting: Greeting };
  };
  /** Sends a line over a kept connection and waits for its echo; true when it came back in time. */
  readonly send: {
    readonly params: {
      readonly connection: number;
      readonly text: string;
      readonly timeoutMs: number;
    };
    readonly result: boolean;
  };
  readonly close: {
    readonly params: { readonly connection: number; readonly how: 'reset' | 'fin' };
    readonly result: null;
  };
  /** Probes over and over, each connection new, until `endLoop`. */
  readonly startLoop: {
    readonly params: ProbeParams & { readonly protocol: L4; readonly pauseMs: number };
    readonly result: { readonly loop: number };
  };
  readonly endLoop: { readonly params: { readonly loop: number }; readonly result: LoopReport };
};
