/** The results as text for people. */
import { describeRun, targetRows } from '../report.ts';
import type { ConnectResult } from '../results.ts';
import type { Summary } from '../statistics.ts';
import { formatCount, formatNumber, formatTable } from '../table.ts';
import { type Target, ratio, target } from '../targets.ts';
import type { IptablesResults, RuleSet, SizeResult } from './results.ts';

const LARGE = 10_000;
const FEW = 10;

/** What the figures have to be. */
export function judgeIptables({
  sizes,
  connect,
}: Pick<IptablesResults, 'sizes' | 'connect'>): readonly Target[] {
  const at = (rules: RuleSet): SizeResult | undefined =>
    sizes.find((size) => size.rules === rules && size.services === LARGE);
  const last = (rules: RuleSet, services: number): number | undefined =>
    lastService(connect, rules, services)?.p50;
  return [
    target('nft: full load at 10,000', 6000, ' ms', at('switchyard nft')?.load.p50),
    target('legacy: full load at 10,000', 3000, ' ms', at('switchyard legacy')?.load.p50),
    target(
      'nft: one endpoint changed at 10,000, p50',
      40,
      ' ms',
      at('switchyard nft')?.endpointChange.p50,
    ),
    ...(['switchyard nft', 'switchyard legacy'] as const).map((rules) =>
      target(
        `${rules.slice(11)}: connect, p50: last of 10,000 / of 10`,
        1.5,
        '',
        ratio(last(rules, LARGE), last(rules, FEW)),
      ),
    ),
  ];
}

/** The whole report. */
export function formatIptablesReport(results: IptablesResults): string {
  const { sizes, connect, iptables } = results;
  return [
    `iptables plane, 10 endpoints a Service, iptables ${iptables}`,
    ...describeRun(results),
    '',
    'Milliseconds, medians. A load and a restart are from objects to the last acknowledgement, of kube-proxy the time of',
    'iptables-restore alone; a change is from object event to acknowledgement, with pauses between them.',
    ...formatTable([
      ['rules', 'Services', 'full load', 'restart', 'one endpoint', 'p99'],
      ...sizes.map(({ rules, services, load, adopt, endpointChange }) => [
        rules,
        formatCount(services),
        formatNumber(load.p50),
        adopt === undefined ? '-' : formatNumber(adopt.p50),
        formatNumber(endpointChange.p50),
        formatNumber(endpointChange.p99),
      ]),
    ]),
    '',
    'connect(2) through the node, microseconds',
    ...formatTable([
      ['rules', 'Services', 'to', 'min', 'p25', 'p50', 'p99'],
      ...connect.map(({ rules, services, to, microseconds: { min, p25, p50, p99 } }) =>
        [rules, formatCount(services), to].concat([min, p25, p50, p99].map(formatNumber)),
      ),
    ]),
    '',
    ...formatTable(targetRows(judgeIptables(results))),
    '',
  ].join('\n');
}

function lastService(
  connect: readonly ConnectResult<RuleSet>[],
  rules: RuleSet,
  services: number,
): Summary | undefined {
  return connect.find(
    (each) => each.rules === rules && each.services === services && each.to === 'last Service',
  )?.microseconds;
}
