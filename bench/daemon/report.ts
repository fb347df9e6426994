/** The results as text for people. */
import { formatCount, formatNumber, formatTable } from '../table.ts';
import { type Target, target } from '../targets.ts';
import { describeRun, targetRows } from '../report.ts';
import type { DaemonResults, StartResult } from './results.ts';

/** What the figures have to be at 10,000 Services with 10 endpoints and 50 changes a second. */
export function judgeDaemon(results: Omit<DaemonResults, 'version'>): readonly Target[] {
  const { services, endpoints, ratePerSecond, start, restart, churn } = results;
  const isFull = services === 10_000 && endpoints === 10 && ratePerSecond === 50;
  const full = (value: number): number | undefined => (isFull ? value : undefined);
  const peakRss = Math.max(start.peakRss, restart.peakRss, churn.rss.peak);
  return [
    target('start to all programmed', 3000, ' ms', full(start.ms.p50)),
    target('API event to kernel, p50', 5, ' ms', full(churn.latency.p50)),
    target('API event to kernel, p99', 20, ' ms', full(churn.latency.p99)),
    target('processor time, % of one', 10, '', full(churn.processorShare * 100)),
    target('peak RSS', 250, ' MB', full(peakRss)),
  ];
}

/** The whole report. */
export function formatDaemonReport(results: DaemonResults): string {
  const { services, endpoints, ratePerSecond, start, restart, churn } = results;
  const { latency, rss } = churn;
  return [
    `The bundled daemon, ${formatCount(services)} Services with ${endpoints} endpoints from a stand-in API server over TLS.`,
    ...describeRun(results),
    '',
    ...formatTable([
      ['median of the starts', 'start', 'restart'],
      startRow('process start to all programmed, ms', start, restart, ({ ms }) => ms.p50),
      startRow('  slowest', start, restart, ({ ms }) => ms.max),
      startRow('  processor time', start, restart, ({ cpuMs }) => cpuMs.p50),
      startRow('  waiting for a processor', start, restart, ({ waitedMs }) => waitedMs.p50),
      startRow('  peak RSS, MB', start, restart, ({ peakRss }) => peakRss),
    ]),
    '',
    ...formatTable([
      [`${ratePerSecond} slices a second for ${Math.round(churn.seconds)} s`, ''],
      ['API event to kernel, ms, p50', formatNumber(latency.p50)],
      ['  p99', formatNumber(latency.p99)],
      ['  max', formatNumber(latency.max)],
      ['changes', formatCount(churn.changes)],
      ['  transactions', formatCount(churn.transactions)],
      ['processor time, % of one', formatNumber(churn.processorShare * 100)],
      ['  waiting for one, % of the time', formatNumber(churn.waitedShare * 100)],
      ['RSS, MB, first quarter', formatNumber(rss.first)],
      ['  last quarter', formatNumber(rss.last)],
      ['  peak since the start', formatNumber(rss.peak)],
    ]),
    '',
    ...formatTable(targetRows(judgeDaemon(results))),
    '',
  ].join('\n');
}

function startRow(
  what: string,
  start: StartResult,
  restart: StartResult,
  of: (result: StartResult) => number,
): readonly string[] {
  return [what, formatNumber(of(start)), formatNumber(of(restart))];
}
