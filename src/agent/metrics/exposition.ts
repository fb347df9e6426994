/** The text of an answer to a scraper. */
import { METRICS } from './definitions.ts';

/** An answer of `/metrics`. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

const COUNTERS: ReadonlySet<string> = new Set(
  METRICS.filter(({ type }) => type === 'counter').map(({ name }) => name),
);

/** Labels of a series, as both formats write them: `name="web",port="http"`. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escape(value)}"`);
  return pairs.join(',');
}

/** Prometheus' text format 0.0.4. */
export function prometheusText(text: string): Exposition {
  return { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: text };
}

/**
 * OpenMetrics 1.0 from Prometheus' text: a counter's family has no `_total`, bounds have a point, there are no
 * empty lines, and the end is marked. prom-client can do it too, but renames the counters for good.
 */
export function openMetricsText(text: string): Exposition {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# ')) lines.push(openMetricsComment(line));
    else lines.push(line.replace(/\ble="(\d+)"/, 'le="$1.0"'));
  }
  return {
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    body: `${lines.join('\n')}\n# EOF\n`,
  };
}

function openMetricsComment(line: string): string {
  const [hash, keyword, name = '', ...rest] = line.split(' ');
  if (!COUNTERS.has(name)) return line;
  return [hash, keyword, name.replace(/_total$/, ''), ...rest].join(' ');
}

function escape(value: string): string {
  return value.replaceAll(/[\\"]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`);
}
