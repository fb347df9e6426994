/** The command line: which commands there are, and which exit code an outcome has. */
import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { describeError, errorCode } from '../agent/describe-error.ts';
import { normaliseFlags } from '../agent/config/normalise-flags.ts';
import { addAdviseCommand } from './advise.ts';
import { addCleanupCommand } from './cleanup.ts';
import { addDoctorCommand } from './doctor.ts';
import { addGetCommand } from './get.ts';
import { addIpvsCommand } from './ipvs.ts';
import { addMigrateCommand } from './migrate.ts';
import type { Output } from './output.ts';
import { addProxyCommand } from './proxy.ts';
import { addSwitchCommand } from './switch.ts';

/** 0: done. 1: refused, failed, or done with findings. 2: the command line is wrong. */
export type ExitCode = 0 | 1 | 2;

/** @param onFindings - Called by a command that worked and found something wrong: exit code 1. */
function buildProgram(output: Output, onFindings: () => void): Command {
  const program = new Command('switchyard')
    .description(packageJson.description)
    .version(packageJson.version, '--version')
    .helpOption('-h, --help', 'say how to use it')
    .helpCommand(false)
    .showHelpAfterError('(--help says more)')
    .configureOutput({ writeOut: output.out, writeErr: output.error })
    .exitOverride();
  addProxyCommand(program, output);
  addCleanupCommand(program, output, onFindings);
  addIpvsCommand(program, output);
  addAdviseCommand(program, output);
  addMigrateCommand(program, output);
  addDoctorCommand(program, output, onFindings);
  addGetCommand(program, output, onFindings);
  addSwitchCommand(program, output);
  return program;
}

/** Runs a command line (without the names of node and of the program). */
export async function runProgram(args: readonly string[], output: Output): Promise<ExitCode> {
  let code: ExitCode = 0;
  try {
    const [command, ...rest] = args;
    const normal = command === 'proxy' ? [command, ...normaliseFlags(rest)] : args;
    const main = buildProgram(output, () => {
      code = 1;
    });
    await main.parseAsync(normal, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has written its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    output.error(`switchyard: ${describeError(error)}\n`);
    return errorCode(error) === 'SY_CONFIG_INVALID' ? 2 : 1;
  }
}
