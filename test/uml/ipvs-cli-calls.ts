/** What the process that runs command lines can be asked. */
import type { Outcome } from '../unit/cli/run.ts';

export type CliCalls = {
  /** Runs `switchyard …` to its end. */
  readonly run: { readonly params: readonly string[]; readonly result: Outcome };
};
