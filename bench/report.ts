/** Results as text for people. */
import type {
  ConnectResult,
  KubeProxyResult,
  PeerResult,
  PlaneResult,
  Results,
} from './results.ts';
import { formatCount, formatNumber, formatTable } from './table.ts';
import { type Target, judge, peakRss, ratio } from './targets.ts';

/** The whole report. */
export function formatReport(results: Results): string {
  return [
    'nftables plane, 10 endpoints a Service.',
    ...describeRun(results),
    '',
    'From object event to acknowledgement by the kernel, at these numbers of Services (ratio: last to first).',
    ...formatTable(planeRows(results.plane)),
    '',
    'connect(2) through a node, in us; one connection to each in turns.',
    ...formatTable(connectRows(results.connect)),
    '',
    ...kubeProxyLines(results),
    '',
    ...formatTable(targetRows(judge(results))),
    '',
  ].join('\n');
}

/** Machine, versions, and what else ran. */
export function describeRun({
  machine,
  loadAverage,
}: Pick<Results, 'machine' | 'loadAverage'>): readonly string[] {
  const nft = machine.nft === undefined ? 'no nft' : `nft ${machine.nft}`;
  return [
    `Linux ${machine.kernel} on ${machine.architecture}, ${machine.processors} processors (${machine.processor}), Node.js ${machine.node} ${machine.nodeFlags}, ${nft}.`,
    `Load average ${formatNumber(loadAverage.before)} before the run, ${formatNumber(loadAverage.after)} after it.`,
  ];
}

type PlaneFigure = readonly [what: string, of: (result: PlaneResult) => number];

const PLANE_FIGURES: readonly PlaneFigure[] = [
  ['full load, ms', ({ load }) => load.ms.p50],
  ['  processor time', ({ load }) => load.cpuMs.p50],
  ['  in kernel transactions', ({ load }) => load.kernelMs.p50],
  ['  longest stop of the event loop', ({ load }) => load.stallMs.p50],
  ['restart over existing rules, ms', ({ adopt }) => adopt.ms.p50],
  ['  processor time', ({ adopt }) => adopt.cpuMs.p50],
  ['  longest stop of the event loop', ({ adopt }) => adopt.stallMs.p50],
  ['one endpoint changed, ms, p50', ({ endpointChange }) => endpointChange.p50],
  ['  p99', ({ endpointChange }) => endpointChange.p99],
  ['Service added, ms, p50', ({ serviceAdded }) => serviceAdded.p50],
  ['  p99', ({ serviceAdded }) => serviceAdded.p99],
  ['Service removed, ms, p50', ({ serviceRemoved }) => serviceRemoved.p50],
  ['  p99', ({ serviceRemoved }) => serviceRemoved.p99],
  ['asking for foreign writes, ms', ({ disturbedMs }) => disturbedMs],
  ['verify, all well, ms', ({ verifyUndisturbed }) => verifyUndisturbed.ms.p50],
  ['  longest stop of the event loop', ({ verifyUndisturbed }) => verifyUndisturbed.stallMs.p50],
  ['verify, table deleted, ms', ({ verifyDeleted }) => verifyDeleted.ms.p50],
  ['RSS after load, MB', ({ memory }) => memory.afterLoad.rss],
  ['  after changes', ({ memory }) => memory.afterChanges.rss],
  ['  after restart', ({ memory }) => memory.afterAdoption.rss],
  ['  peak', peakRss],
];

function planeRows(plane: readonly PlaneResult[]): readonly (readonly string[])[] {
  const [first] = plane;
  const last = plane.length > 1 ? plane.at(-1) : undefined;
  const row = ([what, of]: PlaneFigure): readonly string[] => {
    const figures = plane.map((result) => formatNumber(of(result)));
    return last && first
      ? [what, ...figures, formatRatio(of(last), of(first))]
      : [what, ...figures];
  };
  return [
    ['', ...plane.map(({ services }) => formatCount(services)), ...(last ? ['ratio'] : [])],
    ...PLANE_FIGURES.map(row),
  ];
}

function connectRows(connect: readonly ConnectResult[]): readonly (readonly string[])[] {
  const floor = connect.find(({ rules }) => rules === 'none')?.microseconds.p50;
  return [
    ['', 'p50', 'p25', 'min', 'p99', 'p50 / first line'],
    ...connect.map((result) => {
      const { p50, p25, min, p99 } = result.microseconds;
      return [
        connectTitle(result),
        ...[p50, p25, min, p99].map(formatNumber),
        formatRatio(p50, floor),
      ];
    }),
  ];
}

function connectTitle({ rules, services, to }: ConnectResult): string {
  if (rules === 'none') return 'no rules';
  const whose = rules === 'switchyard' ? 'Switchyard' : "kube-proxy's shape";
  return `${whose}, ${formatCount(services)} Services: ${to}`;
}

function kubeProxyLines(results: Results): readonly string[] {
  const { kubeProxyShape, peer } = results;
  const rows = [
    ...kubeProxyShape.flatMap((shape) => kubeProxyRowsAt(results, shape)),
    ...(peer?.sizes ?? []).flatMap(peerRows),
  ];
  return [
    kubeProxyShape.length === 0
      ? "kube-proxy's shape of rules was not measured: nft is not installed."
      : "kube-proxy's shape of rules with nft -f - (the process alone) beside Switchyard.",
    ...(peer === undefined
      ? []
      : [
          `kube-proxy ${peer.version}, black box: objects from a stand-in API server, until a client's connection arrives;`,
          'Switchyard was not measured this way. The measurement was tried only with a small stand-in program, not with a kube-proxy.',
        ]),
    ...(rows.length === 0 ? [] : formatTable([['', 'kube-proxy', 'Switchyard', 'ratio'], ...rows])),
  ];
}

function peerRows(result: PeerResult): readonly (readonly string[])[] {
  const { services, ready, endpointChange, rss, processorShare, failure } = result;
  const row = (what: string, value: number | undefined): readonly string[] => [
    `${formatCount(services)} Services, black box: ${what}`,
    formatFigure(value),
    '-',
    '-',
  ];
  return [
    row('start, ms', ready),
    row('one slice changed, ms, p50', endpointChange?.p50),
    row('one slice changed, ms, max', endpointChange?.max),
    row('RSS at the end, MB', rss),
    row('processors used since the start', processorShare),
    ...(failure === undefined
      ? []
      : [[`${formatCount(services)} Services, black box: ${failure}`]]),
  ];
}

function kubeProxyRowsAt(
  { plane, connect }: Results,
  { services, load, endpointChange }: KubeProxyResult,
): readonly (readonly string[])[] {
  const ours = plane.find((result) => result.services === services);
  const connectAt = (rules: ConnectResult['rules']): number | undefined =>
    connect.find(
      (result) =>
        result.rules === rules && result.services === services && result.to === 'last Service',
    )?.microseconds.p50;
  const row = (what: string, theirs: number | undefined, our: number | undefined) => [
    `${formatCount(services)} Services: ${what}`,
    formatFigure(theirs),
    formatFigure(our),
    formatRatio(theirs, our),
  ];
  return [
    row('full load, ms', load, ours?.load.ms.p50),
    row('one endpoint changed, ms, p50', endpointChange.p50, ours?.endpointChange.p50),
    row('connect to the last Service, us, p50', connectAt('kube-proxy'), connectAt('switchyard')),
  ];
}

/** Rows of a table of targets, its head first. */
export function targetRows(targets: readonly Target[]): readonly (readonly string[])[] {
  return [
    ['target', 'limit', 'measured', ''],
    ...targets.map(({ what, limit, unit, measured, met }) => [
      what,
      `<= ${limit.toLocaleString('en')}${unit}`,
      measured === undefined ? '-' : `${formatNumber(measured)}${unit}`,
      met === undefined ? 'not in this run' : met ? 'met' : 'NOT MET',
    ]),
  ];
}

function formatFigure(value: number | undefined): string {
  return value === undefined ? '-' : formatNumber(value);
}

function formatRatio(value: number | undefined, to: number | undefined): string {
  const proportion = ratio(value, to);
  return proportion === undefined ? '-' : `${formatNumber(proportion)} x`;
}
