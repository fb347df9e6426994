/** Configurations as the command line makes them. */
import { type AgentConfig, agentConfig } from '../../src/agent/config/agent-config.ts';
import { FLAGS } from '../../src/agent/config/options.ts';
import { loadConfig } from '../../src/agent/config/load.ts';

function readFile(path: string): string {
  throw new Error(`${path} was not to be read`);
}

/**
 * What these flags (by name, without dashes) come to on a machine called `n1`, in nftables mode unless they ask for
 * another.
 */
export function configOf(flags: Readonly<Record<string, string>>): AgentConfig {
  for (const name of Object.keys(flags)) {
    if (!FLAGS.has(name)) throw new Error(`there is no flag --${name}`);
  }
  // The socket of this machine's own agent is not for tests.
  const given = new Map(Object.entries({ 'status-socket': '', ...flags }));
  const loaded = loadConfig({ flags: given, readFile, hostname: 'n1' });
  const { mode } = loaded.settings;
  return agentConfig(loaded, mode === 'auto' ? 'nftables' : mode);
}
