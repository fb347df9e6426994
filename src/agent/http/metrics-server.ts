/** The metrics port, 10249 by default. Scrapers and administrators ask it. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import type { Address } from '../../core/ip.ts';
import { wantsOpenMetrics } from './accept.ts';
import { type Answer, answer, json, NOT_FOUND, plainText } from './answer.ts';
import { type ComponentStatus, flagzAnswer, type Flags, statuszAnswer } from './component-pages.ts';
import { PingSlis } from './ping-slis.ts';
import { pathOf, readText } from './request.ts';
import type { Exposition } from '../metrics/exposition.ts';
import { dualStack, type Handle, Listener, type ListenerEvents } from './server.ts';

/** Where the answers come from. All are asked anew for each request. */
export interface MetricsSources {
  /** Metrics in the text format of Prometheus, or in OpenMetrics. */
  readonly metrics: (openMetrics: boolean) => Promise<Exposition>;
  /** Name of the mode, such as `nftables`. */
  readonly mode: () => string;
  /** The configuration in force as JSON: `{"kubeproxy.config.k8s.io":{…}}`. */
  readonly configz: () => string;
  readonly flags: () => Flags;
  readonly status: () => Omit<ComponentStatus, 'paths'>;
  /** Takes another verbosity of the log. */
  readonly setVerbosity: (level: number) => void;
}

/** What the metrics port is made of. */
export interface MetricsServerOptions {
  /** A wildcard means both families. */
  readonly address: Address;
  readonly port: number;
  /** Serve `/debug/…` too (kube-proxy: enableProfiling). */
  readonly profiling: boolean;
  readonly sources: MetricsSources;
  readonly clock: Clock;
  readonly events: ListenerEvents;
}

/** The pages that `/statusz` lists. */
const LISTED = ['/configz', '/flagz', '/healthz', '/metrics', '/proxyMode'] as const;

/** Longest body of a PUT that is read, in bytes. Verbosities are shorter. */
const MAX_BODY = 32;

const NO_PROFILES = plainText(
  404,
  'There are no Go profiles of this proxy: it runs on Node.js. Its metrics nodejs_* and process_* are at /metrics.\n',
);

/** Makes the metrics port; it is still to be opened. Any method does, unless one means something. */
export function metricsServer(options: MetricsServerOptions): Listener {
  const routes = routesOf(options);
  return new Listener({
    purpose: 'metrics',
    addresses: dualStack(options.address),
    port: options.port,
    ipv6Only: false,
    clock: options.clock,
    events: options.events,
    handle: async (request) => {
      const path = pathOf(request);
      const handle = routes.get(path);
      if (handle !== undefined) return handle(request);
      return options.profiling && path.startsWith('/debug/pprof') ? NO_PROFILES : NOT_FOUND;
    },
  });
}

function routesOf({ sources, profiling }: MetricsServerOptions): ReadonlyMap<string, Handle> {
  const slis = new PingSlis();
  const ping: Handle = () => {
    slis.count();
    return plainText(200, 'ok');
  };
  const routes = new Map<string, Handle>([
    ['/metrics', scrape(sources)],
    ['/metrics/slis', (request) => slis.answer(request.method)],
    ['/proxyMode', () => plainText(200, sources.mode())],
    ['/healthz', ping],
    ['/healthz/ping', ping],
    ['/configz', () => json(200, sources.configz())],
    [
      '/statusz',
      ({ headers }) => statuszAnswer({ ...sources.status(), paths: LISTED }, headers.accept),
    ],
    [
      '/flagz',
      ({ headers }) => flagzAnswer(sources.status().component, sources.flags(), headers.accept),
    ],
  ]);
  if (profiling) {
    routes.set('/debug/flags/v', async (request) => putVerbosity(request, sources.setVerbosity));
  }
  return routes;
}

/** Those who ask while metrics are being written get the same text: it costs most of all answers. */
function scrape(sources: MetricsSources): Handle {
  const underWay = new Map<boolean, Promise<Answer>>();
  const write = async (openMetrics: boolean): Promise<Answer> => {
    try {
      const { contentType, body } = await sources.metrics(openMetrics);
      return answer(200, contentType, Buffer.from(body));
    } finally {
      underWay.delete(openMetrics);
    }
  };
  return async ({ headers }) => {
    const openMetrics = wantsOpenMetrics(headers.accept);
    const text = underWay.get(openMetrics) ?? write(openMetrics);
    underWay.set(openMetrics, text);
    return text;
  };
}

async function putVerbosity(
  request: IncomingMessage,
  setVerbosity: (level: number) => void,
): Promise<Answer> {
  if (request.method !== 'PUT') return plainText(406, 'unsupported http method\n');
  const text = await readText(request, MAX_BODY);
  if (text === undefined || !/^-?\d{1,9}$/.test(text)) {
    const what = JSON.stringify(text?.slice(0, MAX_BODY) ?? '');
    return plainText(400, `failed set klog.logging.verbosity ${what}: it must be a whole number\n`);
  }
  setVerbosity(Number(text));
  return plainText(200, `successfully set klog.logging.verbosity to ${text}\n`);
}
