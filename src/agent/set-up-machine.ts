/** What is set in the kernel before anything is programmed. */
import type { Machine } from './machine.ts';
import type { AgentConfig, ConntrackConfig } from './config/agent-config.ts';
import { type EventSink, nodeWarning } from './event-notes.ts';
import { type ConntrackSettings, setUpConntrack, setUpOomScore } from './node-setup.ts';
import type { Reporter } from './reporter.ts';

/**
 * Sets up connection tracking and the score for the OOM killer. What cannot be set is reported, and the proxy works
 * without. Returns what is to be called when the data plane is there: by then the kernel may have loaded what was missing.
 */
export function setUpMachine(
  { nodeName, conntrack, oomScoreAdj }: AgentConfig,
  { sysctls, cpus, setOomScore }: Pick<Machine, 'sysctls' | 'cpus' | 'setOomScore'>,
  reporter: Reporter,
  events: EventSink,
): () => void {
  const settings = inSeconds(conntrack);
  const setUp = (): boolean => {
    const outcome = setUpConntrack(settings, cpus, sysctls);
    reporter.conntrack(outcome);
    for (const error of outcome.failures) {
      reporter.setupFailed(error);
      const reason = 'FailedToSetConntrack';
      events.record(nodeWarning(nodeName, reason, 'StartKubeProxy', error.message));
    }
    return outcome.absent.length === 0;
  };
  const isComplete = setUp();
  const oom = setUpOomScore(oomScoreAdj, setOomScore);
  if (oom !== undefined) reporter.setupFailed(oom);
  return () => {
    if (!isComplete) setUp();
  };
}

function inSeconds(conntrack: ConntrackConfig): ConntrackSettings {
  const { maxPerCore, min, tcpBeLiberal } = conntrack;
  return {
    maxPerCore,
    min,
    tcpBeLiberal,
    tcpEstablishedTimeout: conntrack.tcpEstablishedMs / 1000,
    tcpCloseWaitTimeout: conntrack.tcpCloseWaitMs / 1000,
    udpTimeout: conntrack.udpMs / 1000,
    udpStreamTimeout: conntrack.udpStreamMs / 1000,
  };
}
