/** Interfaces, network plugins, and ports that are taken. */
import { familyOf, parseAddress } from '../../../core/ip.ts';
import { type Facts, valueOf } from '../facts/facts.ts';
import type { Link } from '../facts/links.ts';
import type { Listener } from '../facts/listeners.ts';
import type { Rule } from '../rule.ts';
import { modeOf, servedServices, when } from './about.ts';

/** Bytes that a tunnel adds to each packet, over IPv4. */
const OVERHEAD: Readonly<Record<string, number>> = {
  geneve: 50,
  ipip: 20,
  vxlan: 50,
  wireguard: 60,
};
const HEALTH_PORT = 10_256;
const METRICS_PORT = 10_249;
/** Programs that serve Services, or have kube-proxy built in. */
const PROXIES = /^(?:kube-proxy|switchyard|k3s|rke2|k0s|kubelite|microk8s)/;

export const NETWORK_RULES: readonly Rule[] = [
  {
    id: 'mtu-overlay',
    severity: 'warning',
    title: 'The overlay is too wide for the network below',
    seen: (facts) => {
      const uplink = uplinkOf(facts);
      if (uplink === undefined) return [];
      return (valueOf(facts.links) ?? [])
        .filter(({ isUp, isExternal }) => isUp && !isExternal)
        .flatMap(({ name, kind, mtu }) => {
          const room = uplink.mtu - (OVERHEAD[kind] ?? Number.NaN);
          return when(
            mtu > room,
            `${name} (${kind}) has MTU ${mtu}; ${uplink.name} with ${uplink.mtu} leaves ${room}`,
          );
        });
    },
    why: 'Small answers come, large ones hang: packets that do not fit are cut up or dropped on the way between nodes.',
    prove: 'ping -M do -s <MTU - 28> <pod on another node>',
    fix: "Set the MTU in the network plugin's configuration to what is left, or raise that of the uplink on all nodes and switches.",
    source: 'RFC 7348 (VXLAN), RFC 2003 (IPIP); documentation of Calico, MTU',
    date: '2026-11',
  },
  {
    id: 'mtu-cni',
    severity: 'warning',
    title: "Pods get a larger MTU than the node's network has",
    seen: (facts) => {
      const uplink = uplinkOf(facts);
      if (uplink === undefined) return [];
      return (valueOf(facts.cni) ?? []).flatMap(({ file, plugins }) =>
        plugins.flatMap(({ type, mtu = 0 }) =>
          when(
            mtu > uplink.mtu,
            `${file}: ${type} has mtu ${mtu}, ${uplink.name} has ${uplink.mtu}`,
          ),
        ),
      );
    },
    why: 'Packets of pods to other nodes do not fit; where ICMP is filtered, large answers hang.',
    prove: 'ip link show; grep -r mtu /etc/cni/net.d',
    fix: 'Take mtu out of the configuration, or set what the uplink has.',
    source: 'documentation of the CNI plugins',
    date: '2026-11',
  },
  {
    id: 'two-cni-configurations',
    severity: 'notice',
    title: 'More than one network plugin is configured',
    seen: (facts) => {
      const files = (valueOf(facts.cni) ?? [])
        .filter(({ plugins }) => plugins.some(({ type }) => type !== 'loopback'))
        .map(({ file }) => file)
        .toSorted();
      return when(files.length > 1, `${files.join(', ')}: ${files[0]} counts`);
    },
    why: 'The runtime takes the first file by name. What an earlier plugin left can count again after the next upgrade, and pods of one node are then in different networks.',
    prove: 'ls /etc/cni/net.d',
    fix: 'Remove the files of plugins that are gone.',
    source: 'README of contrib/cni of CRI-O; containerd, CRI configuration',
    date: '2026-11',
  },
  {
    id: 'hairpin-off',
    severity: 'warning',
    title: 'A pod cannot reach itself through its Service',
    seen: (facts) =>
      (valueOf(facts.cni) ?? []).flatMap(({ file, plugins }) =>
        plugins
          .filter(({ type, hairpin }) => (type === 'bridge' || type === 'flannel') && !hairpin)
          .map(({ type }) => `${file}: ${type} without hairpinMode`),
      ),
    why: 'The bridge does not send a packet back through the port it came from: when the Service chooses the client itself, the connection hangs.',
    prove: 'cat /sys/class/net/*/brport/hairpin_mode',
    fix: 'hairpinMode: true in the plugin (in delegate for flannel); it counts for pods that are made afterwards.',
    source: 'kubernetes/kubernetes#53775, #54203; documentation of the bridge plugin',
    date: '2026-11',
  },
  {
    id: 'health-port-taken',
    severity: 'critical',
    title: 'Another program has the port of the health server',
    seen: (facts) => takenBy(facts, HEALTH_PORT),
    why: 'The proxy cannot say that it is well: load balancers of clouds take the node out, and what probes it restarts it again and again.',
    prove: 'ss -ltnp "sport = :10256"',
    fix: 'Stop that program or give it another port; or set healthzBindAddress, in the load balancer, too.',
    source: 'kube-proxy reference, --healthz-bind-address',
    date: '2026-08',
  },
  {
    id: 'metrics-port-taken',
    severity: 'warning',
    title: 'Another program has the port of the metrics server',
    seen: (facts) => takenBy(facts, METRICS_PORT),
    why: 'There are no metrics of the proxy, and /proxyMode, which kubeadm and this program ask, is that of somebody else.',
    prove: 'ss -ltnp "sport = :10249"',
    fix: 'Stop that program or give it another port; or set metricsBindAddress.',
    source: 'kube-proxy reference, --metrics-bind-address',
    date: '2026-08',
  },
  {
    id: 'node-port-taken',
    severity: 'warning',
    title: 'A program listens on a node port',
    seen: (facts) => {
      const listeners = foreignListeners(facts).filter(
        ({ address }) => !/^(?:127\.|\[::1\])/.test(address),
      );
      return servedServices(facts).flatMap(({ key, service }) =>
        service.ports.flatMap(({ protocol, nodePort }) =>
          listeners
            .filter((one) => one.protocol === protocol && one.port === nodePort)
            .map((one) => `${protocol} ${nodePort} of ${key}: ${describe(one)}`),
        ),
      );
    },
    why: 'What comes from outside to this port goes to the Service: the program gets none of it, on the addresses that serve node ports.',
    prove: 'ss -lntup "sport >= :30000 and sport <= :32767"',
    fix: 'Give the program a port outside of the node ports, or the Service another node port.',
    source: 'docs/nftables.md; reference of kube-proxy',
    date: '2026-08',
  },
  {
    id: 'health-check-port-taken',
    severity: 'critical',
    title: 'A program has the health-check node port of a Service',
    seen: (facts) => {
      const listeners = foreignListeners(facts);
      return servedServices(facts).flatMap(({ key, service }) =>
        listeners
          .filter(
            ({ protocol, port }) =>
              protocol === 'TCP' &&
              service.healthCheckNodePort > 0 &&
              port === service.healthCheckNodePort,
          )
          .map((one) => `${one.port} of ${key}: ${describe(one)}`),
      );
    },
    why: 'The load balancer asks this port whether the node has endpoints, and gets the answer of something else.',
    prove: 'curl -i <node>:<healthCheckNodePort>',
    fix: 'Give the program another port.',
    source: 'Kubernetes documentation, spec.healthCheckNodePort',
    date: '2026-08',
  },
  {
    id: 'forward-policy-drop',
    severity: 'warning',
    title: 'Forwarding is forbidden unless a rule allows it',
    seen: (facts) => {
      if (modeOf(facts) !== 'nftables') return [];
      const chains = [
        ...(valueOf(facts.iptables) ?? [])
          .filter(({ chains: policies }) => policies.get('FORWARD') === 'DROP')
          .map(({ family, name }) => `${family === 'IPv4' ? 'ip' : 'ip6'} ${name} FORWARD`),
        ...(valueOf(facts.nftables) ?? [])
          .filter(({ hook, policy }) => hook === 'forward' && policy === 'drop')
          .map(({ family, table, name }) => `${family} ${table} ${name}`),
      ];
      return [...new Set(chains)].map((chain) => `${chain}: policy drop`);
    },
    why: 'A drop is final in nf_tables, whoever accepted before. In iptables mode kube-proxy has rules in FORWARD that accept its traffic; in nftables mode nobody has, unless the network plugin does. Docker sets this policy.',
    prove: 'iptables -S FORWARD; nft list chains',
    fix: "Allow traffic of pods and of connections with ct status dnat in that chain, or set the policy to accept if the plugin's rules do the filtering.",
    source: 'pkg/proxy/nftables/README.md of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'node-ports-primary-only',
    severity: 'notice',
    title: 'Node ports answer on one address of the node only',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      if (settings === undefined || modeOf(facts) !== 'nftables') return [];
      const { nodePortAddresses = [] } = settings.values;
      const isPrimary = nodePortAddresses.length === 0 || nodePortAddresses[0] === 'primary';
      const hasNodePorts = servedServices(facts).some(({ service }) =>
        service.ports.some(({ nodePort }) => nodePort > 0),
      );
      const links = (valueOf(facts.links) ?? []).filter((link) => link.kind === '' && link.isUp);
      const addresses = links
        .flatMap((link) => link.addresses)
        .filter((address) => familyOf(address) === 'IPv4');
      return when(
        isPrimary && hasNodePorts && addresses.length > 1,
        `nodePortAddresses is primary; the node has ${addresses.join(', ')}`,
      );
    },
    why: 'In the other modes every address of the node serves node ports; in nftables mode only the one in the Node object does, unless the setting says otherwise.',
    prove: 'curl <each address>:<nodePort>',
    fix: 'If clients use the others: nodePortAddresses: ["0.0.0.0/0"], or better the ranges that are meant.',
    source: 'KEP-3866; pkg/proxy/nftables/README.md of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'node-ports-everywhere',
    severity: 'notice',
    title: 'Node ports are open on networks inside the node',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      const mode = modeOf(facts);
      if (settings === undefined || mode === undefined || mode === 'nftables') return [];
      if ((settings.values.nodePortAddresses ?? []).length > 0) return [];
      return (valueOf(facts.links) ?? [])
        .filter(
          ({ name, addresses }) => /^(?:virbr|docker|lxcbr)\d/.test(name) && addresses.length > 0,
        )
        .map(({ name, addresses }) => `${name} (${addresses.join(', ')})`);
    },
    why: 'Without nodePortAddresses every address of the node serves them: virtual machines and containers of others on this host reach them, too.',
    prove: 'curl <address of the bridge>:<nodePort>',
    fix: 'nodePortAddresses: the ranges that clients use.',
    source: 'reference of kube-proxy, nodePortAddresses',
    date: '2026-08',
  },
];

function uplinkOf(facts: Facts): Link | undefined {
  const name = valueOf(facts.uplink);
  return valueOf(facts.links)?.find((link) => link.name === name);
}

function takenBy(facts: Facts, port: number): readonly string[] {
  return foreignListeners(facts)
    .filter((one) => one.protocol === 'TCP' && one.port === port)
    .map((one) => `${port}: ${describe(one)}`);
}

/** Listeners of programs that are no proxies. */
function foreignListeners(facts: Facts): readonly Listener[] {
  const processes = valueOf(facts.processes);
  if (processes === undefined) return [];
  const own = new Set(
    processes
      .filter(({ name }) => name === 'kube-proxy' || name === 'switchyard')
      .map(({ pid }) => pid),
  );
  return (valueOf(facts.listeners) ?? []).filter(
    ({ process }) => process !== undefined && !own.has(process.pid) && !PROXIES.test(process.name),
  );
}

function describe({ process, address, port }: Listener): string {
  const plain = parseAddress(address.replace(/^\[|\]$/g, ''));
  return `${process?.name} (pid ${process?.pid}) listens on ${plain ?? address} port ${port}`;
}
