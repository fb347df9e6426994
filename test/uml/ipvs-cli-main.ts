/** Runs command lines of the program, one after another: a process for each would take seconds in the guest. */
import { serveCalls } from '../lab/line-process.ts';
import { run } from '../unit/cli/run.ts';
import type { CliCalls } from './ipvs-cli-calls.ts';

serveCalls<CliCalls>({ run: (args) => run(...args) });
