/** The socket at which operators ask a running agent how it is, and for another mode. */
import type { Variant } from '../../kernel/iptables/variant.ts';
import type { DataPlane } from '../../planes/plane.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import { describeError } from '../describe-error.ts';
import type { Machine } from '../machine.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Reporter } from '../reporter.ts';
import { switchPages } from '../switching/pages.ts';
import type { Switcher } from '../switching/switcher.ts';
import type { AgentStatus } from './agent-status.ts';
import { statusPages } from './pages.ts';
import { StatusServer } from './status-server.ts';

/** The agent's parts that answer. */
export interface AskedParts {
  readonly status: AgentStatus;
  readonly pipeline: Pipeline;
  readonly reporter: Reporter;
  /** `undefined`: there is only one mode. */
  readonly switcher: Switcher | undefined;
  /** The plane that is in charge now. */
  readonly present: () => { readonly plane: DataPlane; readonly variant: Variant | undefined };
}

/**
 * Opens the socket, where the configuration names one. One that cannot be had is told to the reporter: the agent serves
 * without it.
 */
export function openStatusSocket(
  { statusSocket: path }: AgentConfig,
  { clock, inspect }: Machine,
  { status, pipeline, reporter, switcher, present }: AskedParts,
): StatusServer | undefined {
  if (path === undefined) return undefined;
  const pages = statusPages({
    status: () => status.describe(present().plane.mode, pipeline.planned.totals),
    planned: () => pipeline.planned,
    inspect: async () => {
      const { plane, variant } = present();
      return inspect(plane.mode, variant);
    },
    breathe: async () => clock.breathe(),
  });
  const server = new StatusServer({
    path,
    pages: new Map([...pages, ...(switcher ? switchPages(switcher, clock) : [])]),
    clock,
    events: {
      listening: (where) => {
        reporter.listening('status', where);
      },
      failed: (error) => {
        reporter.notListening(describeError(error));
      },
      fault: (error) => {
        reporter.requestFailed(error);
      },
    },
  });
  void server.open();
  return server;
}
