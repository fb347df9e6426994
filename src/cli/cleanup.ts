/** `switchyard cleanup`: removes what `switchyard proxy` programmed. */
import type { Command } from 'commander';
import { checkMode } from '../agent/config.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { openNftablesPlane } from '../planes/nftables/plane.ts';

/** Adds the command. `print` takes what it says on success. */
export function addCleanupCommand(program: Command, print: (text: string) => void): void {
  program
    .command('cleanup')
    .summary('remove all rules of switchyard from this machine')
    .description(
      'Removes what `switchyard proxy` programmed, and nothing else. Stop the proxy before.',
    )
    .option('--mode <mode>', 'data plane to remove', 'nftables')
    .action(async (flags: { readonly mode: string }) => {
      const mode = checkMode(flags.mode);
      const plane = openNftablesPlane(openKernelIo());
      try {
        const found = await plane.remove();
        const text = found
          ? `Removed all ${mode} rules of switchyard.`
          : `There were no ${mode} rules of switchyard.`;
        print(`${text}\n`);
      } finally {
        plane.close();
      }
    });
}
