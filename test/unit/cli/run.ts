/** Runs a command line of the program in this process. */
import { runProgram } from '../../../src/cli/program.ts';

/** What a command line came to. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line that writes to no terminal. */
export async function run(...args: readonly string[]): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const code = await runProgram(args, {
    out: (text) => {
      stdout += text;
    },
    error: (text) => {
      stderr += text;
    },
    drained: async () => undefined,
    terminal: () => undefined,
  });
  return { code, stdout, stderr };
}
