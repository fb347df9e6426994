/** What tests of metrics have in common. */
import assert from 'node:assert/strict';
import {
  AgentMetrics,
  type AgentMetricsOptions,
} from '../../../../src/agent/metrics/agent-metrics.ts';
import { type Sample, parsePrometheus } from './exposition-parser.ts';

/** When the tests' processes begin, in milliseconds since 1970. */
export const START = Date.parse('2026-01-01T00:00:00Z');

/** Metrics of a dual-stack node in nftables mode at {@link START}, but for what is said otherwise. */
export function makeMetrics(options: Partial<AgentMetricsOptions> = {}): AgentMetrics {
  return new AgentMetrics({
    mode: 'nftables',
    families: ['IPv4', 'IPv6'],
    wallTime: () => START,
    version: '0.0.0-test',
    featureGates: [],
    traffic: undefined,
    ipvs: undefined,
    ...options,
  });
}

/** Reads values by name and labels. */
export class Answer {
  readonly #samples: readonly Sample[];

  constructor(samples: readonly Sample[]) {
    this.#samples = samples;
  }

  /** Asks for all values. */
  static async of(metrics: AgentMetrics): Promise<Answer> {
    const { body } = await metrics.expose(false);
    return new Answer([...parsePrometheus(body).values()].flatMap(({ samples }) => samples));
  }

  /** Label sets of a metric. */
  labels(name: string): readonly Sample['labels'][] {
    return this.#samples.filter((sample) => sample.name === name).map(({ labels }) => labels);
  }

  /** The value of the one series with all these labels; `undefined` when there is none. */
  value(name: string, labels: Sample['labels'] = {}): number | undefined {
    const found = this.#samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    assert.ok(found.length <= 1, `${name} is told ${found.length} times`);
    return found[0]?.value;
  }
}
