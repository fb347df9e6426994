/** The two ports on which the proxy tells about itself. */
import type { Clock } from '../core/clock.ts';
import type { AgentConfig } from './config/agent-config.ts';
import type { PlaneMode } from './config/option.ts';
import { type EventSink, nodeWarning } from './event-notes.ts';
import { healthServer } from './http/health-server.ts';
import type { HealthState } from './http/health-state.ts';
import { type MetricsSources, metricsServer } from './http/metrics-server.ts';
import type { Listener, ListenerEvents } from './http/server.ts';
import type { AgentMetrics } from './metrics/agent-metrics.ts';
import type { Reporter } from './reporter.ts';

/** What the pages show that does not come from the agent's work. */
export interface Pages extends Pick<MetricsSources, 'flags' | 'status' | 'setVerbosity'> {
  /** The configuration as kube-proxy would show it in this mode. */
  readonly configz: (mode: PlaneMode) => string;
}

/** What the ports are opened with. */
export interface PortsOptions {
  readonly config: AgentConfig;
  readonly mode: () => PlaneMode;
  readonly pages: Pages;
  readonly health: HealthState;
  readonly metrics: AgentMetrics;
  readonly reporter: Reporter;
  readonly events: EventSink;
  readonly clock: Clock;
}

interface Port {
  readonly listener: Listener;
  /** Reason of the Event when it must not fail and does (kube-proxy: the same). */
  readonly failure: string;
}

/**
 * Opens them, as far as they are wanted. What cannot be opened is tried again; with `bindHardFail` it is
 * an {@link AgentError} `SY_BIND_FAILED`.
 */
export async function openPorts(options: PortsOptions): Promise<AsyncDisposable> {
  const { config, events } = options;
  await using opened = new AsyncDisposableStack();
  for (const { listener, failure } of portsOf(options)) {
    opened.use(listener);
    if (!config.bindHardFail) await listener.open();
    else {
      try {
        await listener.openOrFail();
      } catch (error) {
        events.record(nodeWarning(config.nodeName, failure, 'StartKubeProxy', String(error)));
        throw error;
      }
    }
  }
  return opened.move();
}

function portsOf({
  config,
  mode,
  pages,
  health,
  metrics,
  reporter,
  clock,
}: PortsOptions): readonly Port[] {
  const ports: Port[] = [];
  const eventsFor = (purpose: string): ListenerEvents => ({
    listening: (where) => {
      reporter.listening(purpose, where);
    },
    failed: ({ message }) => {
      reporter.notListening(message);
    },
    fault: (error) => {
      reporter.requestFailed(error);
    },
  });
  if (config.healthAddress !== undefined) {
    const listener = healthServer({
      address: config.healthAddress.host,
      port: config.healthAddress.port,
      health,
      clock,
      events: eventsFor('health checks'),
      onAnswer: (question, status) => {
        if (question === 'healthz') metrics.healthzAnswered(status);
        else metrics.livezAnswered(status);
      },
    });
    ports.push({ listener, failure: 'FailedToStartProxierHealthcheck' });
  }
  if (config.metricsAddress !== undefined) {
    const listener = metricsServer({
      address: config.metricsAddress.host,
      port: config.metricsAddress.port,
      profiling: config.profiling,
      sources: {
        ...pages,
        configz: () => pages.configz(mode()),
        metrics: async (openMetrics) => metrics.expose(openMetrics),
        mode,
      },
      clock,
      events: eventsFor('metrics'),
    });
    ports.push({ listener, failure: 'FailedToStartMetricServer' });
  }
  return ports;
}
