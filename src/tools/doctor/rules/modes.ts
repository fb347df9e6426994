/** Modes of the proxy: what they need, and what becomes of them. */
import { type Facts, valueOf } from '../facts/facts.ts';
import { isOlder } from '../facts/version.ts';
import type { Rule } from '../rule.ts';
import { isSwitchyard, kubeProxyMode, modeOf, when } from './about.ts';

/** Endpoints from which kube-proxy's first sync in nftables mode took 15 minutes on an old kernel. */
const MANY_ENDPOINTS = 100_000;

export const MODE_RULES: readonly Rule[] = [
  {
    id: 'ipvs-deprecated',
    severity: 'warning',
    title: "kube-proxy's ipvs mode is on its way out",
    seen: (facts) => when(kubeProxyMode(facts) === 'ipvs', 'kube-proxy is in ipvs mode'),
    why: 'It is deprecated since Kubernetes 1.35. By plan it is off unless asked for by a feature gate from 1.40, and its code is gone from 1.43; choosing it will then be an error, with no other mode in its place.',
    prove: 'curl -s 127.0.0.1:10249/proxyMode',
    fix: 'Plan the change to nftables mode, or serve the node with Switchyard, which keeps ipvs mode.',
    source: 'KEP-5495',
    date: '2026-08',
  },
  {
    id: 'mode-unset',
    severity: 'notice',
    title: 'The mode of kube-proxy is not set',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      if (settings === undefined || isSwitchyard(facts)) return [];
      return when(settings.mode === undefined, `mode is not in ${settings.from}`);
    },
    why: 'It means iptables mode today. By plan nftables mode is the default from Kubernetes 1.40, so an upgrade would change the mode of the node.',
    prove: 'kubectl -n kube-system get configmap kube-proxy -o yaml | grep "mode:"',
    fix: 'Write the mode that you want into the configuration: mode: nftables, or mode: iptables.',
    source: 'KEP-5343 (provisional)',
    date: '2026-08',
  },
  {
    id: 'ipvs-old-kernel',
    severity: 'warning',
    title: 'This kernel has faults in ipvs mode',
    seen: (facts) => tooOld(facts, 'ipvs', '5.9'),
    why: 'Before 5.9 one has the choice between a second of delay for clients that use a port again (net.ipv4.vs.conn_reuse_mode=1) and connections to endpoints that are gone (0, which kube-proxy sets).',
    prove: 'uname -r; sysctl net.ipv4.vs.conn_reuse_mode',
    fix: 'Run kernel 5.9 or later, or another mode.',
    source: 'kubernetes/kubernetes#81775, #93297; pkg/proxy/ipvs of 1.36',
    date: '2026-08',
  },
  {
    id: 'ipvs-module-missing',
    severity: 'critical',
    title: 'This kernel has no IPVS',
    seen: (facts) =>
      when(
        modeOf(facts) === 'ipvs' && valueOf(facts.modules)?.get('ip_vs') === 'absent',
        'ipvs mode, and no module ip_vs',
      ),
    why: 'The proxy ends at its start; kube-proxy does not fall back to another mode, whatever its README says.',
    prove: 'modprobe ip_vs && cat /proc/net/ip_vs',
    fix: 'Install the modules of this kernel (linux-modules-extra on Ubuntu), or choose another mode.',
    source: 'pkg/proxy/ipvs/supported.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'ipvs-scheduler-missing',
    severity: 'critical',
    title: 'This kernel does not have the scheduler of the configuration',
    seen: (facts) => {
      const scheduler = schedulerOf(facts);
      const state = valueOf(facts.modules)?.get(`ip_vs_${scheduler}`);
      const isThere = valueOf(facts.modules)?.get('ip_vs') !== 'absent';
      return when(
        scheduler !== '' && isThere && state === 'absent',
        `ipvs.scheduler is ${scheduler}, and there is no module ip_vs_${scheduler}`,
      );
    },
    why: 'kube-proxy tries the scheduler with a virtual server of its own at the start and ends when the kernel refuses it.',
    prove: 'modinfo ip_vs_<scheduler>',
    fix: 'Choose a scheduler that the kernel has. rr is always there with ip_vs_rr.',
    source: 'pkg/proxy/ipvs/supported.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'ipvs-scheduler-weights',
    severity: 'notice',
    title: 'A scheduler with weights does no more than one without',
    seen: (facts) =>
      when(
        kubeProxyMode(facts) === 'ipvs' && ['wrr', 'wlc'].includes(schedulerOf(facts)),
        `ipvs.scheduler is ${schedulerOf(facts)}`,
      ),
    why: 'kube-proxy gives every endpoint the weight 1: wrr is then rr, wlc is lc. Besides, each node counts its own connections only.',
    prove: 'ipvsadm -Ln  # the column Weight',
    fix: 'Use rr or lc. With Switchyard in ipvs mode, the annotation switchyard.dev/weight sets weights.',
    source: 'pkg/proxy/ipvs/proxier.go of Kubernetes 1.36; KEP-5495 on schedulers',
    date: '2026-08',
  },
  {
    id: 'ipvs-scheduler-mh',
    severity: 'warning',
    title: 'mh does not keep clients at their endpoint here',
    seen: (facts) =>
      when(kubeProxyMode(facts) === 'ipvs' && schedulerOf(facts) === 'mh', 'ipvs.scheduler is mh'),
    why: "kube-proxy adds the flag by which the client's port is hashed, too (0x10, mh-port): each connection of a client may go elsewhere.",
    prove: 'ipvsadm -Ln  # "mh (mh-port)"',
    fix: 'Use sessionAffinity: ClientIP in the Services that need it.',
    source: 'pkg/proxy/ipvs/proxier.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'ipvs-no-periodic-check',
    severity: 'warning',
    title: 'This kube-proxy repairs nothing by itself in ipvs mode',
    seen: (facts) => {
      const version = valueOf(facts.metrics)?.version;
      if (version === undefined || kubeProxyMode(facts) !== 'ipvs') return [];
      return when(
        isOlder(version, '1.36') && !isOlder(version, '1.34'),
        `kube-proxy ${version.text} in ipvs mode`,
      );
    },
    why: '1.34 and 1.35 do not compare the kernel with what it should be any more; virtual servers that somebody deletes stay away until a Service changes.',
    prove: 'curl -s 127.0.0.1:10249/metrics | grep kubernetes_build_info',
    fix: 'Upgrade to 1.36, where the check is back, or leave ipvs mode.',
    source: 'kubernetes/kubernetes#135631; changelog of 1.36',
    date: '2026-08',
  },
  {
    id: 'nftables-old-kernel',
    severity: 'critical',
    title: 'This kernel is too old for nftables mode',
    seen: (facts) => (kubeProxyMode(facts) === 'nftables' ? tooOld(facts, 'nftables', '5.13') : []),
    why: 'kube-proxy ends at its start on kernels before 5.13, which it takes as a sign that the nft program of the node is too old to share the kernel with.',
    prove: 'uname -r',
    fix: 'Run kernel 5.13 or later, or iptables mode.',
    source: 'pkg/proxy/nftables of Kubernetes 1.36; kubernetes/kubernetes#122743',
    date: '2026-08',
  },
  {
    id: 'nftables-old-nft',
    severity: 'critical',
    title: 'The program nft of this node is too old for nftables mode',
    seen: (facts) => {
      const nft = valueOf(facts.nft);
      if (nft === undefined || kubeProxyMode(facts) !== 'nftables') return [];
      return when(isOlder(nft, '1.0.1'), `nft ${nft.text}`);
    },
    why: 'kube-proxy refuses an nft before 1.0.1. One that is only on the host reads the tables of kube-proxy as well, whenever somebody calls it, and can fail or damage them.',
    prove: 'nft --version',
    fix: 'Install nft 1.0.1 or later on the host, or remove it there.',
    source: 'pkg/proxy/nftables of Kubernetes 1.36; kubernetes/kubernetes#122743, #136786',
    date: '2026-08',
  },
  {
    id: 'nftables-slow-kernel',
    severity: 'notice',
    title: 'Very many endpoints, nftables mode and a slow kernel',
    seen: (facts) => {
      const kernel = valueOf(facts.kernel);
      const slices = valueOf(facts.slices);
      if (kernel === undefined || slices === undefined) return [];
      const endpoints = [...slices.values()]
        .flat()
        .reduce((sum, slice) => sum + slice.endpoints.length, 0);
      return when(
        kubeProxyMode(facts) === 'nftables' && isOlder(kernel, '6.2') && endpoints > MANY_ENDPOINTS,
        `${endpoints} endpoints on kernel ${kernel.text}`,
      );
    },
    why: 'With 240,000 endpoints the first sync of kube-proxy 1.32.6 took 15 minutes on kernel 6.1 and 4 minutes on 6.12. This is one published measurement, no limit of upstream.',
    prove: 'curl -s 127.0.0.1:10249/metrics | grep sync_full_proxy_rules_duration_seconds_sum',
    fix: 'Run a newer kernel, or Switchyard in nftables mode.',
    source: 'guessi/kube-proxy-benchmark, October 2025',
    date: '2026-08',
  },
  {
    id: 'localhost-node-ports-used',
    severity: 'notice',
    title: 'Somebody uses node ports on 127.0.0.1',
    seen: (facts) => {
      const used = counter(facts, 'iptables_localhost_nodeports_accepted_packets_total');
      return when(used > 0, `${used} packets since the start of the node`);
    },
    why: 'Only iptables mode serves them. They stop working in ipvs mode, and in nftables mode as well (upstream plans a relay, opt-in, from 1.37).',
    prove:
      'curl -s 127.0.0.1:10249/metrics | grep iptables_localhost_nodeports_accepted_packets_total',
    fix: 'Before you change the mode, let these clients use an address of the node, a hostPort, or the cluster IP.',
    source: 'KEP-3866; KEP-6032',
    date: '2026-08',
  },
];

function tooOld(facts: Facts, mode: string, floor: string): readonly string[] {
  const kernel = valueOf(facts.kernel);
  if (kernel === undefined || modeOf(facts) !== mode) return [];
  return when(isOlder(kernel, floor), `${mode} mode on kernel ${kernel.text}`);
}

function schedulerOf(facts: Facts): string {
  if (modeOf(facts) !== 'ipvs') return '';
  return valueOf(facts.settings)?.values.ipvsScheduler ?? '';
}

function counter(facts: Facts, name: string): number {
  const counters = valueOf(facts.metrics)?.counters ?? new Map<string, number>();
  let sum = 0;
  for (const [key, value] of counters) if (key.endsWith(name)) sum += value;
  return sum;
}
