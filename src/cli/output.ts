/** Where a command writes. */
export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /** Resolves when `out` can take more: to be awaited between the parts of a long text. */
  readonly drained: () => Promise<void>;
  /** Size in characters of the terminal that `out` writes to; `undefined` when it is none. */
  readonly terminal: () => TerminalSize | undefined;
}

/** Size of a terminal in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}
