/** All rules, in the order of the documentation. */
import type { Rule } from '../rule.ts';
import { CONFIGURATION_RULES } from './configuration.ts';
import { CONNTRACK_RULES } from './conntrack.ts';
import { KERNEL_SETTING_RULES } from './kernel-settings.ts';
import { MODE_RULES } from './modes.ts';
import { NETWORK_RULES } from './network.ts';
import { OWNER_RULES } from './owners.ts';
import { SERVICE_RULES } from './services.ts';

/** Rules that belong together. */
export interface RuleGroup {
  readonly title: string;
  readonly rules: readonly Rule[];
}

/** By theme. */
export const RULE_GROUPS: readonly RuleGroup[] = [
  { title: 'Modes', rules: MODE_RULES },
  { title: 'Configuration of the proxy', rules: CONFIGURATION_RULES },
  { title: 'Who serves the node', rules: OWNER_RULES },
  { title: 'Connection tracking', rules: CONNTRACK_RULES },
  { title: 'Settings of the kernel', rules: KERNEL_SETTING_RULES },
  { title: 'Network', rules: NETWORK_RULES },
  { title: 'Services', rules: SERVICE_RULES },
];
