/** `switchyard cleanup`: removes what `switchyard proxy` programmed. */
import type { Command } from 'commander';
import { type LoadedConfig, loadConfig } from '../agent/config/load.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import type { Output } from './output.ts';
import { planeOffers } from './planes.ts';

/** Adds the command. */
export function addCleanupCommand(program: Command, output: Output): void {
  program
    .command('cleanup')
    .summary('remove all rules of switchyard from this machine')
    .description(
      'Removes what `switchyard proxy` programmed, and nothing else. Stop the proxy before.',
    )
    .action(async () => {
      const defaults = loadConfig({
        flags: new Map(),
        readFile: readConfigFile,
        hostname: 'localhost',
      });
      await removeRules(defaults, output);
    });
}

/** Removes the rules of every mode and says what there was. */
export async function removeRules(loaded: LoadedConfig, output: Output): Promise<void> {
  for (const { mode, open } of planeOffers(openKernelIo(), loaded)) {
    const plane = open();
    try {
      const found = await plane.remove();
      const text = found
        ? `Removed all ${mode} rules of switchyard.`
        : `There were no ${mode} rules of switchyard.`;
      output.out(`${text}\n`);
    } finally {
      plane.close();
    }
  }
}
