/** Configurations as the command line makes them. */
import { type AgentConfig, agentConfig } from '../../src/agent/config/agent-config.ts';
import { FLAGS } from '../../src/agent/config/options.ts';
import { loadConfig } from '../../src/agent/config/load.ts';

function readFile(path: string): string {
  throw new Error(`${path} was not to be read`);
}

/** What these flags (by name, without dashes) come to in nftables mode on a machine called `n1`. */
export function configOf(flags: Readonly<Record<string, string>>): AgentConfig {
  for (const name of Object.keys(flags)) {
    if (!FLAGS.has(name)) throw new Error(`there is no flag --${name}`);
  }
  const loaded = loadConfig({ flags: new Map(Object.entries(flags)), readFile, hostname: 'n1' });
  return agentConfig(loaded, 'nftables');
}
