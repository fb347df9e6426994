/** `switchyard doctor`: what is wrong with this node, or with one that was captured, as far as Services go. */
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { captureMachine } from '../tools/doctor/capture-machine.ts';
import type { Capture } from '../tools/doctor/capture.ts';
import { diagnose } from '../tools/doctor/diagnose.ts';
import { known, unknown } from '../tools/doctor/facts/facts.ts';
import { readCapture, readObjects, writeCapture } from '../tools/doctor/folder.ts';
import { openMachine } from '../tools/doctor/machine.ts';
import { readFacts } from '../tools/doctor/read-facts.ts';
import { reportLines } from '../tools/doctor/report.ts';
import { ToolError } from '../tools/errors.ts';
import type { Output } from './output.ts';
import { show } from './show.ts';

interface Flags {
  readonly objects?: readonly string[];
  readonly from?: string;
  readonly capture?: string;
  readonly output: 'table' | 'json' | 'yaml';
}

const NO_OBJECTS =
  'no Kubernetes objects were given: kubectl get services,endpointslices,nodes,configmaps -A -o json > FILE, and --objects FILE';

/**
 * Adds the command.
 *
 * @param onFindings - Called when something is wrong.
 */
export function addDoctorCommand(program: Command, output: Output, onFindings: () => void): void {
  program
    .command('doctor')
    .summary('look for what is wrong with this node, and say how to prove and mend it')
    .description(
      'Checks what can be seen of this node against rules, which docs/doctor.md lists. Changes nothing. Best as root\n' +
        'on the host. Exit code 0: no findings; 1: findings; 2: wrong command line, or files that cannot be used.',
    )
    .option(
      '--objects <path...>',
      'files or folders of Kubernetes objects: YAML or JSON of kubectl get -o',
    )
    .addOption(
      new Option('--from <folder>', 'look at a folder of files instead of this node').conflicts([
        'objects',
        'capture',
      ]),
    )
    .option('--capture <folder>', 'write what was looked at into a new folder, without secrets')
    .addOption(
      new Option('-o, --output <format>', 'how to print it')
        .choices(['table', 'json', 'yaml'])
        .default('table'),
    )
    .action(async (flags: Flags, command: Command) => {
      try {
        if (await examine(flags, output)) onFindings();
      } catch (error) {
        if (!(error instanceof ToolError)) throw error;
        command.error(`${error.code}: ${error.message}`);
      }
    });
}

/** True when there are findings. */
async function examine(flags: Flags, output: Output): Promise<boolean> {
  const capture = flags.from === undefined ? await look(flags) : readCapture(flags.from);
  if (flags.capture !== undefined) writeCapture(flags.capture, capture);
  const diagnosis = diagnose(readFacts(capture));
  await show(async function* () {
    if (flags.output === 'json') yield JSON.stringify(diagnosis, undefined, 2);
    else if (flags.output === 'yaml') yield stringify(diagnosis).trimEnd();
    else yield* reportLines(diagnosis);
  }, output);
  return diagnosis.findings.length > 0;
}

async function look({ objects }: Flags): Promise<Capture> {
  const given = objects?.flatMap(readObjects);
  return captureMachine(openMachine(), given === undefined ? unknown(NO_OBJECTS) : known(given));
}
