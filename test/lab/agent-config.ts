/** Configurations as the command line makes them. */
import { type AgentConfig, agentConfig } from '../../src/agent/config/agent-config.ts';
import { loadConfig } from '../../src/agent/config/load.ts';

/** What these flags (by name, without dashes) come to in nftables mode on a machine called `n1`. */
export function configOf(flags: Readonly<Record<string, string>>): AgentConfig {
  const readFile = (path: string): string => {
    throw new Error(`${path} was not to be read`);
  };
  const loaded = loadConfig({ flags: new Map(Object.entries(flags)), readFile, hostname: 'n1' });
  return agentConfig(loaded, 'nftables');
}
