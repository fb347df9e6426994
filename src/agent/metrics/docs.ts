/** docs/metrics.md, written from the definitions. */
import type { MetricDefinition } from './definition.ts';
import { METRICS, MISSING } from './definitions.ts';

const INTRODUCTION = `# Metrics

<!-- Written by src/agent/metrics/docs.ts. Do not edit. -->

\`/metrics\` on the metrics address (default \`127.0.0.1:10249\`) answers in Prometheus' text format, or as OpenMetrics to
those who accept it. Names, types, labels and buckets of kube-proxy's metrics are those of kube-proxy 1.36.

A round of programming is one plan and the batches that bring it into the kernel. One round programs both IP families,
so metrics with the label \`ip_family\` are observed once for each family that is served, with the same time.
`;

/** The text of docs/metrics.md, as prettier would format it. */
export function renderMetricsDocs(): string {
  const parts = [
    INTRODUCTION,
    section('Of kube-proxy', 'kube-proxy'),
    section('Of Switchyard', 'Switchyard'),
    section('Of Node.js', 'Node.js'),
    `## Buckets\n\n${buckets()}`,
    `## Not there\n\nMetrics of kube-proxy that have no meaning here.\n\n${missing()}`,
  ];
  return parts.join('\n');
}

function section(title: string, source: MetricDefinition['source']): string {
  const metrics = METRICS.filter((metric) => metric.source === source);
  const rows = metrics
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .map((metric) => [
      code(metric.name),
      metric.type,
      metric.labels.map((label) => code(label)).join(', '),
      metric.modes?.join(', ') ?? 'all',
      describe(metric),
    ]);
  return `## ${title}\n\n${table(['metric', 'type', 'labels', 'modes', 'meaning'], rows)}`;
}

function describe({ help, meaning }: MetricDefinition): string {
  const text = help.replace(/^\[[A-Z]+\] /, '').replace(/\.$/, '');
  return `${text}.${meaning === undefined ? '' : ` ${meaning}`}`;
}

function buckets(): string {
  const rows = METRICS.filter((metric) => metric.buckets !== undefined).map((metric) => [
    code(metric.name),
    metric.buckets?.summary ?? '',
  ]);
  return table(['histogram', 'upper bounds'], rows);
}

function missing(): string {
  const rows = MISSING.map(({ name, reason }) => [code(name), reason]);
  return table(['metric', 'reason'], rows);
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A Markdown table with aligned columns. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));
  return `${[header, rule, ...rows].map((cells) => line(cells)).join('\n')}\n`;
}
