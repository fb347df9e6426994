/** Puts together what changes in a configuration, and the way there. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { ConfigHolder } from './config-map.ts';
import { unifiedDiff } from './diff.ts';
import { editConfig } from './edit-config.ts';
import { type Plan, type Proxy, hintsFor, planFor } from './plan.ts';

/** What is wanted. */
export interface MigrateOptions {
  readonly to: PlaneMode;
  readonly proxy: Proxy;
  readonly nodes: readonly string[];
  /** See {@link planFor}. */
  readonly command: string;
}

/** A change of mode that was worked out and not made. */
export interface Migration {
  /** Where the configuration is. */
  readonly place: string;
  readonly from: PlaneMode;
  readonly to: PlaneMode;
  /** The new configuration. */
  readonly config: string;
  /** Lines of its difference to the old one; none: it is right already. */
  readonly diff: readonly string[];
  /** What was changed besides the mode, and what to know, a sentence each. */
  readonly hints: readonly string[];
  readonly plan: Plan;
}

/** What kube-proxy takes where its configuration names no mode. */
const DEFAULT_MODE: PlaneMode = 'iptables';

/** Works out a change. Throws as {@link editConfig} does. */
export function migrate(
  { place, config }: ConfigHolder,
  { to, proxy, nodes, command }: MigrateOptions,
): Migration {
  const { text, mode, settings, carried } = editConfig(config, to, DEFAULT_MODE);
  const from = modeOf(mode);
  return {
    place,
    from,
    to,
    config: text,
    diff: unifiedDiff(config, text),
    hints: [...carried, ...hintsFor({ settings, from, to })],
    plan: planFor({ proxy, from, to, nodes, command }),
  };
}

function modeOf(text: string | undefined): PlaneMode {
  return text === 'nftables' || text === 'ipvs' ? text : DEFAULT_MODE;
}
