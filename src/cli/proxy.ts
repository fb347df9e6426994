/** `switchyard proxy`: serves the Services of manifests on this machine. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { runAgent } from '../agent/agent.ts';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { type AgentConfig, parseConfig } from '../agent/config.ts';
import { openLog } from '../agent/log.ts';
import { Conntrack } from '../kernel/conntrack/conntrack.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { AddressWatcher } from '../kernel/rtnetlink/address-watcher.ts';
import { openNftablesPlane } from '../planes/nftables/plane.ts';

/** A process that was told to stop ends after this long at the latest, in milliseconds. */
const STOP_MS = 500;

/** Adds the command. Flags have kube-proxy's names where it has such a flag. `write` takes log lines. */
export function addProxyCommand(program: Command, write: (line: string) => void): void {
  program
    .command('proxy')
    .summary('serve Services from manifests on this machine')
    .description(
      'Reads Services, EndpointSlices and the Node from YAML, programs the kernel, and follows every change.\n' +
        'Runs until SIGTERM or SIGINT; what is programmed then stays (see: switchyard cleanup).',
    )
    .requiredOption('--manifests <path>', 'YAML or JSON file, or a folder of them; watched')
    .option('--node <name>', 'name of the Node this machine is', hostname().toLowerCase())
    .option('--mode <mode>', 'data plane', 'nftables')
    .option('--ip-families <families>', 'IPv4, IPv6 or both (default: those the kernel has)')
    .option('--cluster-cidr <cidrs>', 'addresses of pods; traffic from elsewhere is masqueraded')
    .option(
      '--detect-local-mode <mode>',
      'how traffic of local pods is recognised: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix (default: ClusterCIDR)',
    )
    .option('--pod-bridge-interface <name>', 'for BridgeInterface: the bridge of the pods')
    .option(
      '--pod-interface-name-prefix <prefix>',
      'for InterfaceNamePrefix: how names of pod interfaces begin',
    )
    .option(
      '--nodeport-addresses <cidrs>',
      'where node ports are served: primary, or CIDRs',
      'primary',
    )
    .addOption(
      new Option('--masquerade-all [bool]', 'masquerade all traffic to cluster IPs').preset('true'),
    )
    .option('--coalesce-window <duration>', 'least time between two batches', '2ms')
    .option(
      '--verify-interval <duration>',
      'longest time until changes by others are looked into',
      '30s',
    )
    .option('-v, --v <level>', 'verbosity, 0 to 10; 2 logs every change', withoutEquals, '0')
    .action(async (flags) => serve(parseConfig(flags), write));
}

/** `-v=2` is how users of kube-proxy write it. */
function withoutEquals(value: string): string {
  return value.replace(/^=/, '');
}

async function serve(config: AgentConfig, write: (line: string) => void): Promise<void> {
  const { verbosity } = config;
  const log = openLog({ verbosity, write, time: () => new Date(), pid: process.pid }, 'main');
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      stop.abort();
      // Whatever is under way: every transaction is whole or not at all, so leaving is safe.
      setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  }
  const io = openKernelIo();
  const plane = openNftablesPlane(io);
  const conntrack = Conntrack.open(io);
  await using addresses = AddressWatcher.open(io);
  try {
    await runAgent(
      config,
      {
        plane,
        addresses,
        deleteFlows: async (stale) => conntrack.deleteStaleUdp(stale),
        families: existsSync('/proc/net/if_inet6') ? ['IPv4', 'IPv6'] : ['IPv4'],
        clock: SYSTEM_CLOCK,
        log,
      },
      stop.signal,
    );
  } finally {
    conntrack.close();
    plane.close();
  }
  log.info('Stopped; what is programmed stays');
}
