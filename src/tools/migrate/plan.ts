/** The way of a cluster of kubeadm to another mode: node by node, what to watch, and back. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { Settings } from '../../agent/config/options.ts';

/** Who serves afterwards. */
export type Proxy = 'switchyard' | 'kube-proxy';

/** What a plan is made for. */
export interface PlanOptions {
  readonly proxy: Proxy;
  /** The mode of kube-proxy now. */
  readonly from: PlaneMode;
  readonly to: PlaneMode;
  /** Names of the nodes; none: they are not known. */
  readonly nodes: readonly string[];
  /** Command line that writes the ConfigMap with another mode, but for the mode. */
  readonly command: string;
}

/** One step. */
export interface Step {
  readonly title: string;
  /** What to know, a sentence each. */
  readonly text: readonly string[];
  readonly commands: readonly string[];
}

/** All of it. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly watch: Step;
  readonly back: readonly Step[];
}

/** Part of the nodes that change over at a time, after the first one. */
const BATCH_SHARE = 0.1;
const PODS =
  'kubectl -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName=';

/** What a hint is about: settings of the mode before, and the modes. */
interface Change {
  readonly settings: Settings;
  readonly from: PlaneMode;
  readonly to: PlaneMode;
}

/** What another mode does in another way: where it applies, and what to know. */
const HINTS: readonly { readonly applies: (change: Change) => boolean; readonly text: string }[] = [
  {
    applies: ({ settings, from, to }) =>
      to === 'nftables' && from !== 'nftables' && nodePortsAreDefault(settings),
    text: 'Node ports will answer at the primary addresses of nodes only, and so far answered at all. To keep that, set nodePortAddresses: [0.0.0.0/0, "::/0"].',
  },
  {
    applies: ({ settings, from, to }) =>
      from === 'iptables' && to !== 'iptables' && settings.iptablesLocalhostNodePorts,
    text: 'Node ports will no longer answer at 127.0.0.1: the metric kubeproxy_iptables_localhost_nodeports_accepted_packets_total tells whether anybody uses them there.',
  },
  {
    applies: ({ settings, from }) => from === 'ipvs' && settings.ipvsScheduler !== '',
    text: 'ipvs.scheduler has no effect in the new mode: it chooses at random.',
  },
  {
    applies: ({ settings, from }) => from === 'ipvs' && settings.ipvsStrictArp,
    text: 'ipvs.strictARP has no effect in the new mode, which binds no addresses to a link; the sysctls arp_ignore and arp_announce stay as they are.',
  },
  {
    applies: ({ to }) => to === 'ipvs',
    text: 'ipvs mode of kube-proxy is deprecated since 1.35, and by plan gone in 1.43 (KEP-5495, 2026-07).',
  },
];

/** What to know about a change of mode, a sentence each. */
export function hintsFor(change: Change): readonly string[] {
  if (change.from === change.to) return [];
  return HINTS.filter(({ applies }) => applies(change)).map(({ text }) => text);
}

/** Makes a plan. */
export function planFor(options: PlanOptions): Plan {
  const { proxy } = options;
  const steps = proxy === 'kube-proxy' ? kubeProxySteps(options) : switchyardSteps(options);
  const back = proxy === 'kube-proxy' ? kubeProxyBack(options) : switchyardBack(options);
  return { steps, watch: watchFor(options), back };
}

function nodePortsAreDefault({ nodePortAddresses: [first] }: Settings): boolean {
  return first === undefined || first === 'primary';
}

function kubeProxySteps(options: PlanOptions): readonly Step[] {
  const { from, to, command } = options;
  return [
    {
      title: 'Before',
      text: [
        ...(to === 'nftables'
          ? [
              'kube-proxy must be 1.31 (beta) or better 1.33 (stable), and the kernel of every node 5.13 or later (KEP-3866).',
            ]
          : []),
        'Keep the ConfigMap as it is now.',
      ],
      commands: [
        'kubectl -n kube-system get configmap kube-proxy -o yaml > kube-proxy-before.yaml',
        'kubectl get nodes -o custom-columns=NAME:.metadata.name,KERNEL:.status.nodeInfo.kernelVersion',
      ],
    },
    {
      title: 'Write the ConfigMap',
      text: [
        'Nothing happens yet: kube-proxy does not notice that a ConfigMap volume changes (seen with 1.36). But a pod that starts anew from now on, for whatever reason, takes up the new mode.',
      ],
      commands: [`${command} --to ${to} --apply`],
    },
    {
      title: 'One node, at a time of little traffic',
      text: [gapOf(from, to)],
      commands: drained(firstNode(options), checks(to)),
    },
    {
      title: 'The other nodes',
      text: [
        'A tenth at a time. Go on when the nodes before are as they should be, and wait long enough to see what comes only with traffic.',
      ],
      commands: batches(options).flatMap((names) => drained(names, [])),
    },
    ...(to === 'nftables' || from === 'nftables'
      ? []
      : [
          {
            title: 'Clean up, on each node',
            text: [
              `kube-proxy does not remove what it left in ${from} mode when it changes to ${to} (KEP-2448). Restart the node, or remove it while the new mode serves.`,
            ],
            commands: [`switchyard cleanup --owner kube-proxy --mode ${from} --dry-run`],
          },
        ]),
  ];
}

/** kube-proxy 1.36, cmd/kube-proxy/app: platformCleanup() comes before the proxier is made. */
function gapOf(from: PlaneMode, to: PlaneMode): string {
  if (from === to)
    return 'Pods that still run in another mode change over, and new connections to Services from their nodes may fail until the first load is done. So the node is drained.';
  if (to === 'nftables')
    return 'kube-proxy removes the rules of the mode before, and every IPVS virtual server of the node, also those of others, before it writes its own: until its first load is done, new connections to Services from this node fail. So the node is drained.';
  if (from === 'nftables')
    return 'kube-proxy removes its nftables tables before it writes the new rules: until its first load is done, new connections to Services from this node fail. So the node is drained.';
  return `kube-proxy leaves the rules of ${from} mode where they are, which answer beside the new ones and are no longer kept up to date. So the node is drained.`;
}

function switchyardSteps(options: PlanOptions): readonly Step[] {
  const { to, command } = options;
  return [
    {
      title: 'Before',
      text: [
        'Make the image known to the nodes, and write its name and the one of this cluster’s kube-proxy into deploy/kubeadm/kustomization.yaml (docs/install.md).',
        ...(to === 'nftables'
          ? []
          : [
              `${to} mode needs more than deploy/kubeadm gives: change over in nftables mode first, and then to ${to} with deploy/with-iptables/kubeadm (docs/install.md).`,
            ]),
        'Keep the ConfigMap as it is now.',
      ],
      commands: [
        'kubectl -n kube-system get configmap kube-proxy -o yaml > kube-proxy-before.yaml',
        'kubectl -n kube-system get daemonset kube-proxy -o jsonpath="{..image}"',
      ],
    },
    {
      title: 'Write the ConfigMap',
      text: [
        'Nothing happens yet where kube-proxy runs: it does not notice that a ConfigMap volume changes (seen with 1.36). A Switchyard that runs already does: there, change node by node with `switchyard switch` first.',
      ],
      commands: [`${command} --to ${to} --apply`],
    },
    {
      title: 'Put the DaemonSet in the place of kube-proxy’s',
      text: [
        'It changes no pod: with the update strategy OnDelete, a node changes over when its pod goes.',
      ],
      commands: ['kubectl replace -k deploy/kubeadm'],
    },
    {
      title: 'One node, at a time of little traffic',
      text: [
        'The new pod removes the rules of kube-proxy, and every IPVS virtual server of the node, also those of others, when it can serve itself. For a second or two, new connections to Services from this node fail; established ones go on, but for those of ipvs mode.',
      ],
      commands: [`${PODS}${firstNode(options)}`, ...checks(to)],
    },
    {
      title: 'The other nodes',
      text: ['A tenth at a time. The roll-out stops when new pods do not become ready.'],
      commands: [
        `kubectl -n kube-system patch daemonset kube-proxy --patch '{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"${BATCH_SHARE * 100}%"}}}}'`,
        'kubectl -n kube-system rollout status daemonset kube-proxy',
      ],
    },
    {
      title: 'Later',
      text: ['`kubeadm upgrade apply` would install its kube-proxy again.'],
      commands: ['kubeadm upgrade apply VERSION --skip-phases=addon/kube-proxy'],
    },
  ];
}

/** What to go back to; where the configuration has been changed already, only its owner knows. */
function modeBefore({ from, to }: PlanOptions): string {
  return from === to ? 'OLD-MODE' : from;
}

function kubeProxyBack(options: PlanOptions): readonly Step[] {
  const { from, to, command } = options;
  return [
    {
      title: 'Write the ConfigMap as it was',
      text: ['Pods that were not deleted yet go on in the old mode, and stay in it.'],
      commands: [`${command} --to ${modeBefore(options)} --apply`],
    },
    {
      title: 'Every node that has changed over',
      text: [gapOf(to, from)],
      commands: drained('NODE', checks(from)),
    },
  ];
}

function switchyardBack(options: PlanOptions): readonly Step[] {
  return [
    {
      title: 'kube-proxy again',
      text: [
        'With OnDelete still set, delete the pods of the nodes to bring back.',
        'kube-proxy writes its rules beside those of Switchyard, so no connection fails.',
      ],
      commands: [
        `${options.command} --to ${modeBefore(options)} --apply`,
        'kubectl -n kube-system rollout undo daemonset kube-proxy',
      ],
    },
    {
      title: 'Clean up at once, on each node',
      text: ['The rules of Switchyard no longer change from then on, and may answer first.'],
      commands: [
        'kubectl debug node/NODE --profile=netadmin --image=localhost/switchyard:0.1.0 -- /usr/local/bin/switchyard cleanup',
      ],
    },
  ];
}

function watchFor({ to }: PlanOptions): Step {
  const failures =
    to === 'nftables'
      ? 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total'
      : 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total';
  return {
    title: 'What to watch, before and after each batch',
    text: [
      'Established connections must not drop and then come back as new ones.',
      'Entries of conntrack must stay far below their limit; drops and failed insertions must not grow.',
      'Failures of programming must stay at 0.',
    ],
    commands: [
      'ss -s',
      'cat /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max',
      'conntrack -S   # drop, insert_failed',
      `curl -s http://127.0.0.1:10249/metrics | grep -E '^(${failures}|kubeproxy_network_programming_duration_seconds_(sum|count))'`,
    ],
  };
}

/** Commands that let kube-proxy start anew on nodes without pods that use it; `between` before pods come back. */
function drained(names: string, between: readonly string[]): readonly string[] {
  return [
    `for node in ${names}; do kubectl drain $node --ignore-daemonsets && ${PODS}$node; done`,
    ...between,
    `for node in ${names}; do kubectl uncordon $node; done`,
  ];
}

function checks(to: PlaneMode): readonly string[] {
  return [
    `curl -s http://127.0.0.1:10249/proxyMode   # on the node: ${to}`,
    'curl -s http://127.0.0.1:10256/healthz   # "healthy":true',
  ];
}

function firstNode({ nodes: [first] }: PlanOptions): string {
  return first ?? 'NODE';
}

/** Names of nodes with a space between, all but the first one. */
function batches({ nodes }: PlanOptions): readonly string[] {
  if (nodes.length === 0) return ['NODE NODE …'];
  const size = Math.max(1, Math.ceil(nodes.length * BATCH_SHARE));
  const found: string[] = [];
  for (let start = 1; start < nodes.length; start += size) {
    found.push(nodes.slice(start, start + size).join(' '));
  }
  return found;
}
