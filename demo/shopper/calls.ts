/** What the shopper process can be asked. Moments are milliseconds of `monotonicMs()`. */

/** Connections that one server answered. */
interface ServerVisits {
  readonly connections: number;
  /** When the latest of them was begun. */
  readonly lastStartedAt: number;
}

/** What became of all connections since the start. */
export interface Visits {
  /** Connections that ended, well or not. */
  readonly connections: number;
  /** Failed ones by kind of error. */
  readonly failures: Readonly<Record<string, number>>;
  readonly servers: Readonly<Record<string, ServerVisits>>;
}

export interface Destination {
  readonly address: string;
  readonly port: number;
}

/** The first connection that was answered. */
export interface FirstAnswer {
  readonly startedAt: number;
  readonly answeredAt: number;
  readonly server: string;
}

export type ShopperCalls = {
  /** Opens TCP connections, one after the other without a pause, until it is told to stop. */
  readonly keepVisiting: { readonly params: Destination; readonly result: null };
  /** What became of them so far. */
  readonly visits: { readonly params: null; readonly result: Visits };
  /** Ends the visits, and tells what became of all. */
  readonly stopVisiting: { readonly params: null; readonly result: Visits };
  /** Begins a TCP connection every `everyMs` until the first one is answered; `null` when none is in `giveUpMs`. */
  readonly firstAnswer: {
    readonly params: Destination & { readonly everyMs: number; readonly giveUpMs: number };
    readonly result: FirstAnswer | null;
  };
};
