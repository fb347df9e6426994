/** From a configuration to a running agent on this machine. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import packageJson from '../../package.json' with { type: 'json' };
import { initialise, runAgent } from '../agent/agent.ts';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { type AgentConfig, agentConfig } from '../agent/config/agent-config.ts';
import type { LoadedConfig } from '../agent/config/load.ts';
import { describeError } from '../agent/describe-error.ts';
import { printConfigz, printFlags } from '../agent/config/print.ts';
import { KUBE_PROXY } from '../agent/kube-proxy.ts';
import type { Log } from '../agent/log.ts';
import type { Machine } from '../agent/machine.ts';
import type { Pages } from '../agent/ports.ts';
import { openJournal } from '../agent/switching/journal.ts';
import { connectTcp } from '../agent/switching/probes.ts';
import { chooseStart } from '../agent/switching/start.ts';
import { Conntrack } from '../kernel/conntrack/conntrack.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { setOomScore } from '../kernel/oom-score.ts';
import { AddressWatcher } from '../kernel/rtnetlink/address-watcher.ts';
import { openSysctls } from '../kernel/sysctl.ts';
import { readIpvs } from './ipvs-snapshot.ts';
import { inspectPlane, planeOffers } from './planes.ts';

const startedAt = Date.now();

/** Serves until `signal` aborts. Rejects as {@link runAgent} does, and with an AgentError when no plane works here. */
export async function serve(loaded: LoadedConfig, log: Log, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { config, machine } = openMachine(loaded, log, stack);
  await runAgent(config, pagesOf(loaded, log), machine, signal);
}

/** Does what needs full privileges, so that a later process can do with CAP_NET_ADMIN (`--init-only`). */
export async function setUp(loaded: LoadedConfig, log: Log, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { config, machine } = openMachine(loaded, log, stack);
  machine.modes?.present.offer.setSysctls?.();
  await initialise(config, machine, signal);
}

function openMachine(
  loaded: LoadedConfig,
  log: Log,
  stack: AsyncDisposableStack,
): { readonly config: AgentConfig; readonly machine: Machine } {
  const main = log.part('main');
  const io = openKernelIo();
  const offers = planeOffers(io, loaded, (text) => {
    main.warning(text);
  });
  const { mode: configured, stateFolder } = loaded.settings;
  const journal = stateFolder === '' ? undefined : openJournal(stateFolder);
  const { choice, record } = chooseStart(configured, offers, journal, (error) => {
    main.error('A switch of the mode cannot be gone on with', { err: describeError(error) });
  });
  const { plane, reason } = choice;
  stack.defer(() => {
    plane.close();
  });
  const { version } = packageJson;
  main.info(`Using ${plane.mode} Proxier`, { because: reason, version, node: loaded.nodeName });
  const conntrack = Conntrack.open(io);
  stack.defer(() => {
    conntrack.close();
  });
  const machine: Machine = {
    plane,
    inspect: async (mode, variant) => {
      const offer = offers.find((each) => each.mode === mode && each.variant === variant);
      return offer === undefined ? [] : inspectPlane(offer);
    },
    modes: {
      offers,
      present: { offer: choice.offer, plane },
      configured,
      configOf: (mode) => agentConfig(loaded, mode),
      journal,
      record,
      connect: connectTcp,
    },
    readIpvs: async () => readIpvs(io),
    addresses: stack.use(AddressWatcher.open(io)),
    deleteFlows: async (stale) => conntrack.deleteStaleUdp(stale),
    families: existsSync('/proc/net/if_inet6') ? ['IPv4', 'IPv6'] : ['IPv4'],
    sysctls: openSysctls(),
    setOomScore,
    cpus: availableParallelism(),
    env: process.env,
    clock: SYSTEM_CLOCK,
    wallTime: () => Date.now(),
    random: () => Math.random(),
    log: main,
  };
  return { config: agentConfig(loaded, plane.mode), machine };
}

function pagesOf({ settings }: LoadedConfig, log: Log): Pages {
  const flags = printFlags(settings);
  return {
    configz: (mode) => printConfigz(settings, mode),
    flags: () => flags,
    status: () => ({
      component: 'kube-proxy',
      startedAt,
      uptimeSeconds: (Date.now() - startedAt) / 1000,
      runtime: `Node.js ${process.version}`,
      version: packageJson.version,
      emulates: `${KUBE_PROXY.major}.${KUBE_PROXY.minor}`,
    }),
    setVerbosity: (level) => {
      log.setVerbosity(level);
    },
  };
}
