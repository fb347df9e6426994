/** The results as text for people. */
import { describeRun, targetRows } from '../report.ts';
import type { Summary } from '../statistics.ts';
import { formatCount, formatNumber, formatTable } from '../table.ts';
import { type Target, ratio, target } from '../targets.ts';
import type { ChangeResult, GuestResults, IpvsResults } from './results.ts';

/** What the figures have to be. */
export function judgeIpvs(results: GuestResults): readonly Target[] {
  const { services, load, restore, changes } = results;
  const at = (count: number): Summary | undefined =>
    changes.find((result) => result.services === count)?.endpointChange;
  return [
    target('full load at 1,000 Services', 2000, ' ms', load.ms.p50),
    target('full load / ipvsadm -R', 0.3, '', load.ms.p50 / restore.p50),
    target('one endpoint changed at 1,000, p50', 2, ' ms', at(services)?.p50),
    target('one endpoint changed, p50: 5,000 / 500', 1.5, '', ratio(at(5000)?.p50, at(500)?.p50)),
  ];
}

/** The whole report. */
export function formatIpvsReport(results: IpvsResults): string {
  const { kernel, services, load, restore, adopt, changes, list, emptyList } = results;
  return [
    `ipvs plane, 10 endpoints a Service, under user-mode Linux ${kernel}: system calls and page faults are many times slower`,
    'than on a real kernel, for ipvsadm too. Ratios are what counts.',
    ...describeRun(results),
    '',
    `${formatCount(services)} Services, median of ${load.ms.samples} (listings: of ${list.ipvsadm.samples}). A load is from objects to the last acknowledgement,`,
    'with sets, routes and rules; ipvsadm is a process with the same virtual and real servers only.',
    ...formatTable([
      ['ms', 'Switchyard', 'ipvsadm', 'ratio'],
      besideRow('full load; ipvsadm -R', load.ms, restore),
      ['  of it, writing', formatNumber(load.kernelMs.p50)],
      ['restart over what is there', formatNumber(adopt.p50)],
      besideRow('ipvs list; ipvsadm -Ln', list.switchyard, list.ipvsadm),
      besideRow('  with nothing to list', emptyList.switchyard, emptyList.ipvsadm),
    ]),
    '',
    `From object event to acknowledgement by the kernel, ${formatCount(changes[0]?.endpointChange.samples ?? 0)} changes at each number of Services.`,
    ...formatTable(changeRows(changes)),
    '',
    ...formatTable(targetRows(judgeIpvs(results))),
    '',
  ].join('\n');
}

function besideRow(what: string, ours: Summary, theirs: Summary): readonly string[] {
  const proportion = `${formatNumber(ours.p50 / theirs.p50)} x`;
  return [what, formatNumber(ours.p50), formatNumber(theirs.p50), proportion];
}

type Figure = readonly [what: string, of: (result: ChangeResult) => number];

const FIGURES: readonly Figure[] = [
  ['one endpoint changed, ms, p50', ({ endpointChange }) => endpointChange.p50],
  ['  p99', ({ endpointChange }) => endpointChange.p99],
  ['  removed (weight 0), p50', ({ removed }) => removed.p50],
  ['  added, p50', ({ added }) => added.p50],
];

function changeRows(changes: readonly ChangeResult[]): readonly (readonly string[])[] {
  const [first] = changes;
  const last = changes.at(-1);
  const row = ([what, of]: Figure): readonly string[] => {
    const figures = changes.map((result) => formatNumber(of(result)));
    return [what, ...figures, first && last ? `${formatNumber(of(last) / of(first))} x` : '-'];
  };
  return [
    ['', ...changes.map(({ services }) => formatCount(services)), 'last / first'],
    ...FIGURES.map(row),
  ];
}
