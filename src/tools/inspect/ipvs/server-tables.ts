/** Tables of servers, letter for letter those of ipvsadm 1.31 (print_title(), print_service_entry()) with `-n`. */
import { hostPort } from '../../../core/ip.ts';
import {
  type Forwarding,
  type IpvsInfo,
  type RealServerInfo,
  type Scheduling,
  type ServerStats,
  type VirtualName,
  familyOfVirtual,
} from '../../../kernel/ipvs/servers.ts';
import { schedulerFlagNames } from './scheduler-flags.ts';
import type { NamedServer } from './servers.ts';

/** Which figures of servers a table has: those of `ipvsadm -L`, of `--stats`, or of `--rate`. */
export type ServerView = 'list' | 'stats' | 'rate';

/** How a table differs from that of ipvsadm. */
export interface TableOptions {
  /** Figures in full, also from 100 million on (`ipvsadm --exact`). */
  readonly exact: boolean;
  /** Behind virtual servers the name of the Service port. */
  readonly services: boolean;
  /** Columns as wide as what is in them, figures in full, and in `list` all that is known. */
  readonly wide: boolean;
}

/** A column of figures. */
interface Column {
  readonly title: string;
  readonly field: keyof ServerStats;
  /** ipvsadm never shortens it for real servers. */
  readonly realExact?: boolean;
}

const COLUMNS: Readonly<Record<'stats' | 'rate', readonly Column[]>> = {
  stats: [
    { title: 'Conns', field: 'connections' },
    { title: 'InPkts', field: 'inPackets' },
    { title: 'OutPkts', field: 'outPackets' },
    { title: 'InBytes', field: 'inBytes' },
    { title: 'OutBytes', field: 'outBytes' },
  ],
  rate: [
    { title: 'CPS', field: 'connectionRate', realExact: true },
    { title: 'InPPS', field: 'inPacketRate', realExact: true },
    { title: 'OutPPS', field: 'outPacketRate', realExact: true },
    { title: 'InBPS', field: 'inByteRate' },
    { title: 'OutBPS', field: 'outByteRate' },
  ],
};

const FORWARDING: Readonly<Record<Forwarding, string>> = {
  masquerade: 'Masq',
  local: 'Local',
  tunnel: 'Tunnel',
  route: 'Route',
  bypass: 'Bypass',
};

const REAL_TITLE = '  -> RemoteAddress:Port';
/** `  -> ` and what ipvsadm leaves for an address and port. */
const LABEL_WIDTH = 33;
const NUMBER_WIDTH = 9;

/** First line of a table of all servers. ipvsadm has none above a single one. */
export function versionLine({ version, connectionTableSize }: IpvsInfo): string {
  return `IP Virtual Server version ${version} (size=${connectionTableSize})`;
}

/** The table without its first line. */
export function serverLines(
  view: ServerView,
  servers: readonly NamedServer[],
  options: TableOptions,
): Iterable<string> {
  return view === 'list' ? listLines(servers, options) : figureLines(view, servers, options);
}

function* listLines(
  servers: readonly NamedServer[],
  { services, wide }: TableOptions,
): Iterable<string> {
  const width = wide ? labelWidth(servers.flatMap(realLabels)) : LABEL_WIDTH;
  yield `Prot LocalAddress:Port Scheduler Flags${services ? '  Service' : ''}`;
  const title = `${REAL_TITLE.padEnd(width)} Forward Weight ActiveConn InActConn`;
  yield wide ? `${title}  PersistConn Uthreshold Lthreshold` : title;
  for (const { name, scheduling, service, realServers } of servers) {
    const virtual = `${virtualLabel(name)} ${describeScheduling(name, scheduling)}`;
    yield services ? `${virtual}  ${service ?? '-'}` : virtual;
    for (const real of realServers) {
      const columns = [
        realLabel(real).padEnd(width),
        FORWARDING[real.forwarding].padEnd(7),
        String(real.weight).padEnd(6),
        String(real.activeConnections).padEnd(10),
        String(real.inactiveConnections).padEnd(10),
      ];
      if (wide) {
        columns.push(
          String(real.persistentConnections).padEnd(11),
          String(real.upperThreshold).padEnd(10),
          String(real.lowerThreshold),
        );
      }
      yield columns.join(' ');
    }
  }
}

function* figureLines(
  view: 'stats' | 'rate',
  servers: readonly NamedServer[],
  { exact, services, wide }: TableOptions,
): Iterable<string> {
  const columns = COLUMNS[view];
  const labels = servers.flatMap((server) => [virtualLabel(server.name), ...realLabels(server)]);
  const width = wide ? labelWidth(labels) : LABEL_WIDTH;
  const numberWidth = wide ? figureWidth(servers, columns) : NUMBER_WIDTH;
  const figure = (value: number, isExact: boolean): string =>
    (isExact || exact || wide ? exactFigure(value) : shortFigure(value)).padStart(numberWidth);

  const titles = columns.map(({ title }) => title.padStart(numberWidth)).join('');
  yield `${'Prot LocalAddress:Port'.padEnd(width)}${titles}${services ? '  Service' : ''}`;
  yield REAL_TITLE;
  for (const { name, stats, service, realServers } of servers) {
    const figures = columns.map(({ field }) => figure(stats[field], false)).join('');
    const virtual = `${virtualLabel(name).padEnd(width)}${figures}`;
    yield services ? `${virtual}  ${service ?? '-'}` : virtual;
    for (const real of realServers) {
      const realFigures = columns.map(({ field, realExact = false }) =>
        figure(real.stats[field], realExact),
      );
      yield `${realLabel(real).padEnd(width)}${realFigures.join('')}`;
    }
  }
}

function virtualLabel(name: VirtualName): string {
  if (!('mark' in name)) return `${name.protocol.padEnd(4)} ${hostPort(name.address, name.port)}`;
  // ipvsadm prints marks as signed numbers.
  const mark = name.mark | 0;
  return name.family === 'IPv6' ? `FWM  ${mark} IPv6` : `FWM  ${mark}`;
}

function realLabel({ address, port }: RealServerInfo): string {
  return `  -> ${hostPort(address, port)}`;
}

function realLabels({ realServers }: NamedServer): readonly string[] {
  return realServers.map((real) => realLabel(real));
}

function describeScheduling(name: VirtualName, scheduling: Scheduling): string {
  const { scheduler, onePacket, persistence, persistenceEngine } = scheduling;
  const words = [scheduler];
  const flags = schedulerFlagNames(scheduling);
  // ipvsadm opens the brackets for a flag that it has no name for, too.
  if (scheduling.schedulerFlags !== 0) words.push(`(${flags.join(',')})`);
  if (persistence !== undefined) {
    words.push(`persistent ${persistence.seconds}`);
    const isIpv6 = familyOfVirtual(name) === 'IPv6';
    if (persistence.prefix !== (isIpv6 ? 128 : 32)) {
      words.push(`mask ${isIpv6 ? persistence.prefix : dottedMask(persistence.prefix)}`);
    }
    if (persistenceEngine !== undefined) words.push(`pe ${persistenceEngine}`);
  }
  if (onePacket) words.push('ops');
  return words.join(' ');
}

/** `255.255.0.0` for 16. */
function dottedMask(prefix: number): string {
  const bits = [24, 16, 8, 0].map((shift) => ((2 ** 32 - 2 ** (32 - prefix)) / 2 ** shift) & 0xff);
  return bits.join('.');
}

function labelWidth(labels: readonly string[]): number {
  return labels.reduce((width, label) => Math.max(width, label.length), LABEL_WIDTH);
}

function figureWidth(servers: readonly NamedServer[], columns: readonly Column[]): number {
  let width = NUMBER_WIDTH;
  for (const server of servers) {
    for (const { stats } of [server, ...server.realServers]) {
      for (const { field } of columns) width = Math.max(width, exactFigure(stats[field]).length);
    }
  }
  return width;
}

/** The space before it separates figures that are too long for their column. */
function exactFigure(value: number): string {
  return ` ${value}`;
}

/** print_largenum() of ipvsadm. */
function shortFigure(value: number): string {
  if (value < 1e8) return String(value);
  if (value < 1e9) return `${Math.floor(value / 1e3)}K`;
  if (value < 1e11) return `${Math.floor(value / 1e6)}M`;
  if (value < 1e14) return `${Math.floor(value / 1e9)}G`;
  return `${Math.floor(value / 1e12)}T`;
}
