/** `switchyard ipvs …`: what IPVS does on this machine, as ipvsadm shows it. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import type { Protocol } from '../core/model.ts';
import { IpsetSocket } from '../kernel/ipset/socket.ts';
import { readConnections } from '../kernel/ipvs/connections.ts';
import type { VirtualAddress } from '../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../kernel/ipvs/socket.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { chooseConnections, connectionLines } from '../tools/inspect/ipvs/connections.ts';
import { serversDocument } from '../tools/inspect/ipvs/documents.ts';
import { type ServiceNames, readServiceNames } from '../tools/inspect/ipvs/names.ts';
import { type ServerView, serverLines, versionLine } from '../tools/inspect/ipvs/server-tables.ts';
import {
  type ServerFilter,
  parseVirtualAddress,
  readServers,
} from '../tools/inspect/ipvs/servers.ts';
import type { Output } from './output.ts';
import { type Lines, show, watch } from './show.ts';

/** Options that all these commands have. */
interface OutputFlags {
  readonly output?: 'json' | 'yaml' | 'wide';
  readonly watch?: true;
}

interface ServerFlags extends OutputFlags {
  readonly tcpService?: VirtualAddress;
  readonly udpService?: VirtualAddress;
  readonly sctpService?: VirtualAddress;
  readonly service?: string;
  readonly services?: true;
  readonly exact?: true;
}

const VIEWS: Readonly<Record<ServerView, string>> = {
  list: 'virtual servers, their real servers and connections (ipvsadm -Ln)',
  stats: 'what servers have counted (ipvsadm -Ln --stats)',
  rate: 'what servers do a second (ipvsadm -Ln --rate)',
};

/** Adds the commands. */
export function addIpvsCommand(program: Command, output: Output): void {
  const ipvs = program
    .command('ipvs')
    .summary('look into IPVS: servers, traffic, connections, timeouts')
    .helpCommand(false)
    .description(
      'Shows what IPVS holds on this machine, in the columns of ipvsadm.\n' +
        'Needs root, but neither ipvsadm nor a running proxy.',
    );
  for (const view of ['list', 'stats', 'rate'] as const) {
    const command = addServerOptions(ipvs.command(view).description(`Shows ${VIEWS[view]}.`));
    if (view !== 'list') command.option('--exact', 'do not shorten large numbers');
    command.action(async (flags: ServerFlags) => {
      await showServers(view, flags, output);
    });
  }
  addServerOptions(ipvs.command('connections'))
    .description('Shows the connection table (ipvsadm -Lcn).')
    .action(async (flags: ServerFlags) => {
      await showConnections(flags, output);
    });
  addOutputOptions(ipvs.command('timeouts'), ['json', 'yaml'])
    .description(
      'Shows after how many idle seconds connections are forgotten (ipvsadm -L --timeout).',
    )
    .action(async (flags: OutputFlags) => {
      await showTimeouts(flags, output);
    });
}

function addServerOptions(command: Command): Command {
  const addresses = [
    ['-t, --tcp-service <address:port>', 'TCP'],
    ['-u, --udp-service <address:port>', 'UDP'],
    ['--sctp-service <address:port>', 'SCTP'],
  ] as const;
  const filters = addresses.map(([flags, protocol]) =>
    new Option(flags, `only the ${protocol} virtual server there`).argParser((text) =>
      virtualAddress(protocol, text),
    ),
  );
  filters.push(
    new Option('--service <namespace/name>', 'only a Service, or with :port one port').argParser(
      serviceName,
    ),
  );
  for (const filter of filters) {
    const others = filters.filter((other) => other !== filter);
    command.addOption(filter.conflicts(others.map((other) => other.attributeName())));
  }
  command.option('--services', 'add names of Services');
  return addOutputOptions(command, ['json', 'yaml', 'wide']);
}

function addOutputOptions(command: Command, formats: readonly string[]): Command {
  return command
    .addOption(
      new Option(
        '-o, --output <format>',
        'print something else than the columns of ipvsadm',
      ).choices(formats),
    )
    .option('--watch', 'show it every second, until Ctrl-C');
}

function virtualAddress(protocol: Protocol, text: string): VirtualAddress {
  const address = parseVirtualAddress(protocol, text);
  if (address !== undefined) return address;
  throw new InvalidArgumentError('It must be like 10.96.0.1:80 or [fd00::1]:80.');
}

function serviceName(text: string): string {
  if (/^[^/:]+\/[^/:]+(?::[^/:]+)?$/.test(text)) return text;
  throw new InvalidArgumentError('It must be like namespace/name or namespace/name:port.');
}

async function showServers(view: ServerView, flags: ServerFlags, output: Output): Promise<void> {
  using ipvs = IpvsSocket.open(openKernelIo());
  const filter = filterOf(flags);
  const options = { ...tableOptions(flags), exact: flags.exact === true };
  await showLines(flags, output, async function* () {
    const servers = await readServers(ipvs, filter, namesFor(flags));
    if (flags.output === 'json' || flags.output === 'yaml') {
      const document = serversDocument(ipvs.info(), servers);
      yield flags.output === 'json' ? JSON.stringify(document, undefined, 2) : yaml(document);
    } else {
      if (filter.virtual === undefined) yield versionLine(ipvs.info());
      yield* serverLines(view, servers, options);
    }
  });
}

async function showConnections(flags: ServerFlags, output: Output): Promise<void> {
  const filter = filterOf(flags);
  await showLines(flags, output, async function* () {
    const chosen = chooseConnections(readConnections(), filter, namesFor(flags));
    if (flags.output === 'json') {
      let before = '[';
      for await (const connection of chosen) {
        yield `${before}${JSON.stringify(connection)}`;
        before = ',';
      }
      yield before === '[' ? '[]' : ']';
    } else if (flags.output === 'yaml') {
      let isEmpty = true;
      for await (const connection of chosen) {
        yield yaml([connection]);
        isEmpty = false;
      }
      if (isEmpty) yield '[]';
    } else {
      yield* connectionLines(chosen, tableOptions(flags));
    }
  });
}

async function showTimeouts(flags: OutputFlags, output: Output): Promise<void> {
  using ipvs = IpvsSocket.open(openKernelIo());
  await showLines(flags, output, async function* () {
    const timeouts = ipvs.timeouts();
    const { tcp, tcpFin, udp } = timeouts;
    if (flags.output === 'json') yield JSON.stringify(timeouts, undefined, 2);
    else if (flags.output === 'yaml') yield yaml(timeouts);
    else yield `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}`;
  });
}

async function showLines(flags: OutputFlags, output: Output, lines: Lines): Promise<void> {
  if (flags.watch !== true) {
    await show(lines, output);
    return;
  }
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    const separator = flags.output === 'json' ? undefined : flags.output === 'yaml' ? '---' : '';
    await watch(lines, output, { clock: SYSTEM_CLOCK, signal: stop.signal, separator });
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}

function filterOf(flags: ServerFlags): ServerFilter {
  const virtual = flags.tcpService ?? flags.udpService ?? flags.sctpService;
  return { virtual, service: flags.service };
}

function tableOptions(flags: ServerFlags): { readonly services: boolean; readonly wide: boolean } {
  const wide = flags.output === 'wide';
  return { wide, services: wide || flags.services === true };
}

/** The names of Services as they are now; `undefined` when they are not asked for. */
function namesFor(flags: ServerFlags): ServiceNames | undefined {
  if (!tableOptions(flags).services && flags.service === undefined) return undefined;
  using ipset = IpsetSocket.open(openKernelIo());
  return readServiceNames(ipset);
}

/** Without the end of the last line. */
function yaml(value: unknown): string {
  return stringify(value).trimEnd();
}
