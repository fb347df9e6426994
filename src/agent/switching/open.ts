/** The switcher of a running agent: what it needs of the agent's parts, and whom it tells. */
import { describeError } from '../describe-error.ts';
import type { Machine, Modes } from '../machine.ts';
import type { AgentMetrics } from '../metrics/agent-metrics.ts';
import type { NodeTracker } from '../node-tracker.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Reporter } from '../reporter.ts';
import { type PlaneInForce, Switcher } from './switcher.ts';

/** The agent's parts that depend on the mode. */
export interface SwitchedParts {
  readonly pipeline: Pipeline;
  readonly tracker: NodeTracker;
  readonly metrics: AgentMetrics;
  readonly reporter: Reporter;
  /** Another plane is in charge from now on, and all parts above know. */
  readonly onMode: (present: PlaneInForce) => void;
  /** Tells the pipeline what is known of the node. */
  readonly updateNode: () => void;
}

/** Makes the switcher. It does nothing before it is asked. */
export function openSwitcher(modes: Modes, machine: Machine, parts: SwitchedParts): Switcher {
  const { offers, present, configured, configOf, journal, record, connect } = modes;
  const { families, clock, wallTime } = machine;
  const { pipeline, tracker, metrics, reporter, onMode, updateNode } = parts;
  return new Switcher(
    {
      pipeline,
      offers,
      present,
      configured,
      journal,
      families,
      describe: (mode) => tracker.describe(configOf(mode)),
      connect,
      clock,
      wallTime,
      events: {
        onMode: (next) => {
          const { mode } = next.offer;
          tracker.setOptions(configOf(mode));
          metrics.setMode(mode);
          onMode(next);
        },
        onChanged: updateNode,
        onProgress: ({ step, from, to, text, connections }) => {
          reporter.switching(step, { from, to, connections, what: text });
        },
        onTrouble: (what, error) => {
          reporter.switchTrouble(what, describeError(error));
        },
        onLeftover: (name) => {
          reporter.leftover(name);
        },
      },
    },
    record,
  );
}
