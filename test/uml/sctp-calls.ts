/** What the SCTP process of a lab host can be asked. */

export type SctpCalls = {
  /** Listens, and greets each association with its name and the client's address. */
  readonly listen: {
    readonly params: { readonly server: string; readonly address: string; readonly port: number };
    readonly result: null;
  };
  /** Opens an association, sends a line and waits for its echo. Without an answer `error` is the system's code. */
  readonly ask: {
    readonly params: {
      readonly address: string;
      readonly port: number;
      readonly timeoutMs: number;
    };
    readonly result:
      { readonly server: string; readonly peer: string } | { readonly error: string };
  };
};
