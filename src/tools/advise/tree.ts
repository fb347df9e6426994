/**
 * The decision tree: which mode is right for a node. `switchyard advise` walks it, `--tree` and docs/choosing-a-mode.md show it.
 * What it claims of others has a source and the month in which that was read.
 */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { PlaneName } from '../../agent/mode.ts';
import { type Facts, type Version, formatVersion, isAtLeast } from './facts.ts';
import type { Measurement } from './measure/results.ts';
import type { Leaf, LeafId, Question, QuestionId, Seen } from './question.ts';

/** Where the walk begins. */
export const ROOT: QuestionId = 'cni';

/** A mode that spends more than this part of the time on changes does not keep up. */
const BUSY_SHARE = 0.5;
/** What vendors advise, see `many-services`. */
const MANY_SERVICES = 1000;
const NFTABLES_KERNEL: Version = { major: 5, minor: 13 };
const NFTABLES_KUBERNETES: Version = { major: 1, minor: 33 };

/** The ends. */
export const LEAVES: Readonly<Record<LeafId, Leaf>> = {
  'use-none': { mode: undefined, text: 'no proxy: the CNI serves Services' },
  'use-nftables': { mode: 'nftables', text: 'nftables' },
  'use-ipvs': { mode: 'ipvs', text: 'ipvs' },
  'use-iptables': { mode: 'iptables', text: 'iptables' },
  'nothing-works': { mode: undefined, text: 'none: a newer kernel first' },
};

const IPVS_WORKS: Omit<Question, 'yes' | 'no'> = {
  text: 'Does ipvs mode work on this kernel?',
  why: 'It needs the modules ip_vs, ip_set and dummy, and iptables.',
  sources: [{ text: 'docs/ipvs.md, "Using it"', date: '2026-11' }],
  see: (facts) => seenMode(facts, 'ipvs'),
  assume: true,
  findOut: 'run `switchyard advise` on a node, as root',
};

/** The questions. */
export const QUESTIONS: Readonly<Record<QuestionId, Question>> = {
  cni: {
    text: 'Does the CNI serve Services itself?',
    why: 'Two proxies on one node answer for the same addresses. Each must be told of the other, or be left out.',
    sources: [
      {
        text: 'documentation of Cilium (kubeProxyReplacement), Calico (eBPF data plane), Antrea (proxyAll), kube-router (--run-service-proxy)',
        date: '2026-08',
      },
    ],
    see: ({ cniServesServices: answer }) =>
      answer === undefined
        ? unknown('nobody said whether it does')
        : { answer, evidence: `the CNI ${answer ? 'serves' : 'does not serve'} Services` },
    assume: false,
    findOut:
      'Cilium: `kubectl -n kube-system exec ds/cilium -- cilium-dbg status | grep KubeProxyReplacement`; Calico: `kubectl get felixconfiguration default -o yaml | grep bpfEnabled`; then --cni-serves-services',
    yes: 'use-none',
    no: 'old-kube-proxy',
  },
  'old-kube-proxy': {
    text: 'Will a kube-proxy older than 1.33 serve?',
    why: 'Its nftables mode was alpha in 1.29, beta from 1.31 and is stable from 1.33 on. Switchyard does not depend on the version of the cluster.',
    sources: [{ text: 'KEP-3866', date: '2026-07' }],
    see: ({ proxy, kubernetes }) => {
      if (proxy !== 'kube-proxy')
        return { answer: false, evidence: 'Switchyard is to serve, not kube-proxy' };
      if (kubernetes === undefined) return unknown('the version of kube-proxy is not known');
      return {
        answer: !isAtLeast(kubernetes, NFTABLES_KUBERNETES),
        evidence: `kube-proxy ${formatVersion(kubernetes)}`,
      };
    },
    assume: false,
    findOut: '`kubectl -n kube-system get daemonset kube-proxy -o wide`; then --kubernetes',
    yes: 'many-services',
    no: 'schedulers',
  },
  schedulers: {
    text: 'Do Services need a scheduler that only IPVS has (lc, wlc, sh, mh, …)?',
    why: 'nftables and iptables choose at random, by weight in Switchyard. But every node schedules for itself: with many nodes, least connections counts only the connections of its own node. For clients that must stay with an endpoint, session affinity does it in every mode.',
    sources: [
      { text: 'KEP-5495 (schedulers, deprecation of ipvs mode)', date: '2026-07' },
      {
        text: 'kubernetes #75502, #118784, #121591: kube-proxy has one scheduler for all Services',
        date: '2026-08',
      },
    ],
    see: ({ schedulers: answer }) =>
      answer === undefined
        ? unknown('nobody said whether they do')
        : { answer, evidence: answer ? 'Services ask for one' : 'no Service asks for one' },
    assume: false,
    findOut:
      'look for annotations switchyard.dev/ipvs-scheduler, or give --manifests or --kubeconfig',
    yes: 'ipvs-for-schedulers',
    no: 'nftables',
  },
  'ipvs-for-schedulers': { ...IPVS_WORKS, yes: 'use-ipvs', no: 'nftables' },
  nftables: {
    text: 'Does nftables mode work on this kernel?',
    why: 'It needs Linux 5.13 with nf_tables. kube-proxy needs nft 1.0.1 in its image, too, and checks both.',
    sources: [
      { text: 'kube-proxy 1.36, pkg/proxy/nftables/supported.go', date: '2026-08' },
      { text: 'docs/nftables.md', date: '2026-11' },
    ],
    see: (facts) => {
      const { kernel, modes } = facts;
      if (modes.nftables !== undefined) return seenMode(facts, 'nftables');
      if (kernel === undefined) return unknown('the kernel is not known');
      return {
        answer: isAtLeast(kernel, NFTABLES_KERNEL),
        evidence: `Linux ${formatVersion(kernel)}`,
      };
    },
    assume: true,
    findOut: '`uname -r` on the oldest node; then --kernel',
    yes: 'keeps-up',
    no: 'many-services',
  },
  'keeps-up': {
    text: 'Does nftables mode keep up with the changes here?',
    why: `A mode that is busy with changes for more than ${BUSY_SHARE * 100} % of the time falls behind. What a change costs depends on the kernel more than on anything else, so it is measured.`,
    sources: [
      {
        text: 'guessi/kube-proxy-benchmark, kube-proxy 1.32.6: 240,000 endpoints took 4 min on Linux 6.12, 15 min on 6.1',
        date: '2025-10',
      },
      { text: '`switchyard advise --measure` on this kernel', date: '2026-11' },
    ],
    see: ({ measured, changesPerSecond }) => {
      const medians = changeMedians(measured);
      const changeMs = medians.get('nftables');
      if (changeMs === undefined) return unknown('it was not measured');
      if (changesPerSecond === undefined) return unknown('nobody said how often something changes');
      const share = (changesPerSecond * changeMs) / 1000;
      const isQuickest = Math.min(...medians.values()) === changeMs;
      const evidence = `${changesPerSecond} changes a second of ${changeMs.toFixed(2)} ms each take ${(share * 100).toFixed(1)} % of the time`;
      return share > BUSY_SHARE && isQuickest
        ? { answer: true, evidence: `${evidence}, and no other mode here is quicker` }
        : { answer: share <= BUSY_SHARE, evidence };
    },
    assume: true,
    findOut: '--measure and --changes-per-second',
    yes: 'localhost',
    no: 'ipvs-for-many',
  },
  localhost: {
    text: 'Do processes on the nodes use node ports by 127.0.0.1?',
    why: 'Only iptables mode serves them there. nftables mode of kube-proxy gets an opt-in for TCP in 1.37 (alpha). Better let such clients use the address of the node.',
    sources: [
      { text: 'KEP-6032', date: '2026-07' },
      { text: 'k0s #5760, kubernetes #132955', date: '2026-08' },
    ],
    see: ({ localhostNodePorts: answer }) =>
      answer === undefined
        ? unknown('nobody said whether they do')
        : { answer, evidence: `node ports are ${answer ? '' : 'not '}used by 127.0.0.1` },
    assume: false,
    findOut:
      'under kube-proxy in iptables mode: the metric kubeproxy_iptables_localhost_nodeports_accepted_packets_total is above 0; then --localhost-node-ports',
    yes: 'iptables-for-localhost',
    no: 'use-nftables',
  },
  'iptables-for-localhost': {
    ...iptablesWorks(),
    yes: 'use-iptables',
    no: 'use-nftables',
  },
  'many-services': {
    text: `Are there more than ${MANY_SERVICES.toLocaleString('en')} Services?`,
    why: 'In kube-proxy’s iptables mode the first packet of a connection meets one rule for each Service, and the legacy variant of iptables, which old kernels come with, replaces a whole table for every change. Advice on the number differs, is from before nftables mode, and was not measured by us.',
    sources: [
      { text: 'Calico documentation, "Use IPVS": from 1,000 Services on', date: '2026-08' },
      {
        text: 'Huawei Cloud CCE documentation 0349: iptables is fine below 3,000',
        date: '2026-08',
      },
    ],
    see: ({ services }) =>
      services === undefined
        ? unknown('the number of Services is not known')
        : {
            answer: services > MANY_SERVICES,
            evidence: `${services.toLocaleString('en')} Services`,
          },
    assume: false,
    findOut: '`kubectl get services -A --no-headers | wc -l`; then --services',
    yes: 'ipvs-for-many',
    no: 'iptables',
  },
  'ipvs-for-many': { ...IPVS_WORKS, yes: 'use-ipvs', no: 'iptables' },
  iptables: { ...iptablesWorks(), yes: 'use-iptables', no: 'ipvs-at-last' },
  'ipvs-at-last': { ...IPVS_WORKS, assume: false, yes: 'use-ipvs', no: 'nothing-works' },
};

function iptablesWorks(): Omit<Question, 'yes' | 'no'> {
  return {
    text: 'Does iptables mode work on this kernel?',
    why: 'It needs iptables on the node or in the image, and the modules of its rules.',
    sources: [{ text: 'docs/iptables.md', date: '2026-11' }],
    see: (facts) => seenMode(facts, 'iptables'),
    assume: true,
    findOut: 'run `switchyard advise` on a node, as root',
  };
}

function seenMode({ modes }: Facts, mode: PlaneMode): Seen {
  const found = modes[mode];
  if (found === undefined) return unknown(`${mode} mode was not tried on this kernel`);
  const { works, reasons } = found;
  const why = reasons.length === 0 ? '' : `: ${reasons.join(' ')}`;
  return {
    answer: works,
    evidence: `${mode} mode ${works ? 'works' : 'does not work'} here${why}`,
  };
}

/** Milliseconds of a change in each mode that was measured. */
function changeMedians(measured: Measurement | undefined): ReadonlyMap<PlaneName, number> {
  const medians = new Map<PlaneName, number>();
  for (const { name, plane } of measured?.modes ?? []) {
    if (plane.usable && plane.change !== undefined) medians.set(name, plane.change.p50);
  }
  return medians;
}

function unknown(evidence: string): Seen {
  return { answer: undefined, evidence };
}
