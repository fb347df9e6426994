/** What to know about the answer, beside the tree: each note where it applies. */
import type { PlaneMode } from '../../agent/config/option.ts';
import { type Facts, type Version, isAtLeast } from './facts.ts';
import type { Source } from './question.ts';

/** A note and where it applies. */
export interface Note {
  readonly text: string;
  readonly sources: readonly Source[];
  readonly applies: (mode: PlaneMode, facts: Facts) => boolean;
}

/** From here on a first load of kube-proxy's nftables mode takes minutes. */
const MANY_ENDPOINTS = 100_000;
const QUICK_KERNEL: Version = { major: 6, minor: 12 };

/** All notes. */
export const NOTES: readonly Note[] = [
  {
    text: 'ipvs mode of kube-proxy is deprecated since 1.35; by plan it is off by default in 1.40 and gone in 1.43. Switchyard keeps its own.',
    sources: [{ text: 'KEP-5495', date: '2026-07' }],
    applies: (mode) => mode === 'ipvs',
  },
  {
    text: 'kube-proxy gives every endpoint weight 1 and has one scheduler for all Services, so wrr is rr and wlc is lc there. With Switchyard a Service chooses by annotation (docs/annotations.md).',
    sources: [
      { text: 'kube-proxy 1.36, pkg/proxy/ipvs; kubernetes #75502, #121591', date: '2026-08' },
    ],
    applies: (mode, { schedulers }) => mode === 'ipvs' && schedulers === true,
  },
  {
    text: 'Every node schedules for itself: with more than one, lc and wlc know only the connections of their own node.',
    sources: [{ text: 'KEP-5495; docs/ipvs.md', date: '2026-11' }],
    applies: (mode, { schedulers, nodes = 2 }) =>
      mode === 'ipvs' && schedulers === true && nodes > 1,
  },
  {
    text: 'Services ask for a scheduler, and this mode chooses at random: the annotation will have no effect but for weights.',
    sources: [{ text: 'docs/annotations.md', date: '2026-11' }],
    applies: (mode, { schedulers }) => mode !== 'ipvs' && schedulers === true,
  },
  {
    text: 'Node ports answer at the primary addresses of a node only, unless nodePortAddresses says otherwise. iptables and ipvs mode answer at all of them.',
    sources: [{ text: 'kube-proxy 1.36; docs/flags.md', date: '2026-11' }],
    applies: (mode) => mode === 'nftables',
  },
  {
    text: 'Node ports do not answer at 127.0.0.1 in this mode: change the clients first.',
    sources: [{ text: 'KEP-6032', date: '2026-07' }],
    applies: (mode, { localhostNodePorts }) => mode !== 'iptables' && localhostNodePorts === true,
  },
  {
    text: 'Session affinity is kept for each address that a client uses, not for all addresses of a Service together.',
    sources: [{ text: 'README.md, "Limits"', date: '2026-11' }],
    applies: (mode, { affinityServices = 0, proxy = 'switchyard' }) =>
      mode === 'nftables' && affinityServices > 0 && proxy === 'switchyard',
  },
  {
    text: 'The first load of kube-proxy’s nftables mode takes minutes at this size on this kernel: 240,000 endpoints took 4 min on Linux 6.12 and 15 min on 6.1.',
    sources: [{ text: 'guessi/kube-proxy-benchmark, kube-proxy 1.32.6', date: '2025-10' }],
    applies: (mode, { proxy, endpoints = 0, kernel }) =>
      mode === 'nftables' &&
      proxy === 'kube-proxy' &&
      endpoints > MANY_ENDPOINTS &&
      kernel !== undefined &&
      !isAtLeast(kernel, QUICK_KERNEL),
  },
  {
    text: 'Say so in the configuration: kube-proxy without a mode takes iptables until 1.39, and by plan nftables from 1.40 on.',
    sources: [{ text: 'KEP-5343', date: '2026-07' }],
    applies: (mode, { proxy }) => mode === 'iptables' && proxy === 'kube-proxy',
  },
];
