/** Connection tracking, and settings that do not last. */
import { type Facts, valueOf } from '../facts/facts.ts';
import type { Rule } from '../rule.ts';
import { isSwitchyard, modeOf, runs, sysctl, sysctlNumber, when } from './about.ts';

const NEARLY_FULL = 0.8;
/** Connections for each bucket of the hash table when the table is full; as kube-proxy has it. */
const LOAD_FACTOR = 4;
/** What kube-proxy sets if nothing else is configured: for each CPU, at least, at most. */
const [PER_CORE, LEAST, MOST] = [32_768, 131_072, 1_048_576] as const;
/** nf_conntrack_udp_timeout of the kernel, in seconds. */
const UDP_TIMEOUT = 30;

export const CONNTRACK_RULES: readonly Rule[] = [
  {
    id: 'conntrack-nearly-full',
    severity: 'critical',
    title: 'The table of connections is nearly full',
    seen: (facts) => {
      const count = sysctlNumber(facts, 'net.netfilter.nf_conntrack_count');
      const max = sysctlNumber(facts, 'net.netfilter.nf_conntrack_max');
      if (count === undefined || max === undefined || max === 0) return [];
      return when(count >= max * NEARLY_FULL, `${count} of ${max} connections`);
    },
    why: 'When it is full, the kernel drops packets of new connections ("nf_conntrack: table full, dropping packet"), in every mode that translates addresses.',
    prove: 'sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max',
    fix: "Raise conntrack.maxPerCore or conntrack.min in the proxy's configuration: a sysctl alone is overwritten at its next start.",
    source: 'kubernetes/kubernetes#71261, #18604',
    date: '2026-08',
  },
  {
    id: 'conntrack-drops',
    severity: 'warning',
    title: 'Connections were dropped because the table was full',
    seen: (facts) => {
      const counters = valueOf(facts.conntrackCounters);
      return ['drop', 'early_drop'].flatMap((name) => {
        const count = counters?.get(name) ?? 0;
        return when(count > 0, `${name} is ${count} since the start of the node`);
      });
    },
    why: 'drop: a connection could not be tracked and its packet was dropped. early_drop: another one was thrown out to make room.',
    prove: 'conntrack -S',
    fix: 'Raise conntrack.maxPerCore, or find out who opens so many connections.',
    source: 'Linux, net/netfilter/nf_conntrack_core.c; kubernetes/kubernetes#71261',
    date: '2026-11',
  },
  {
    id: 'conntrack-hash-small',
    severity: 'warning',
    title: 'The hash table of connections is too small for their number',
    seen: (facts) => {
      const max = sysctlNumber(facts, 'net.netfilter.nf_conntrack_max') ?? 0;
      const buckets = sysctlNumber(facts, 'net.netfilter.nf_conntrack_buckets') ?? 0;
      return when(
        buckets > 0 && buckets * LOAD_FACTOR < max,
        `${buckets} buckets for ${max} connections`,
      );
    },
    why: 'Each packet walks the list of its bucket: with more than four connections a bucket, looking them up gets slow for all traffic of the node. kube-proxy keeps to this ratio where it may write the setting.',
    prove: 'sysctl net.netfilter.nf_conntrack_buckets net.netfilter.nf_conntrack_max',
    fix: 'sysctl -w net.netfilter.nf_conntrack_buckets=<max / 4>, in the network namespace of the host.',
    source: 'cmd/kube-proxy/app/conntrack.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'conntrack-max-overwritten',
    severity: 'warning',
    title: 'nf_conntrack_max in a file does not last',
    seen: (facts) => {
      const wanted = wantedConnections(facts);
      const isOurs = isSwitchyard(facts);
      return (valueOf(facts.sysctlFiles) ?? [])
        .filter(({ name }) => /^net\.(?:netfilter\.|ipv4\.ip_)?(?:nf_)?conntrack_max$/.test(name))
        .filter(({ value }) => {
          if (wanted === undefined || wanted === 0) return false;
          // Switchyard raises the limit, but leaves a higher one alone.
          return isOurs ? Number(value) < wanted : Number(value) !== wanted;
        })
        .map(({ file, value }) => `${file} sets ${value}, the proxy sets ${wanted} at its start`);
    },
    why: 'kube-proxy writes the value of its own configuration at each start, and lowers a higher one. Guides that set only the sysctl work until the next restart.',
    prove:
      'grep -r conntrack_max /etc/sysctl.conf /etc/sysctl.d; sysctl net.netfilter.nf_conntrack_max',
    fix: 'Set conntrack.maxPerCore and conntrack.min; or conntrack.maxPerCore: 0, and the proxy leaves the sysctl alone.',
    source: 'cmd/kube-proxy/app/conntrack.go of Kubernetes 1.36; kubernetes/kubernetes#137002',
    date: '2026-08',
  },
  {
    id: 'conntrack-max-lowered',
    severity: 'warning',
    title: 'Somebody lowered the limit of connections',
    seen: (facts) => {
      const wanted = wantedConnections(facts);
      const max = sysctlNumber(facts, 'net.netfilter.nf_conntrack_max');
      if (wanted === undefined || max === undefined || max === 0) return [];
      return when(max < wanted, `${max}, and the proxy set ${wanted} at its start`);
    },
    why: 'The proxy sets it once, at its start. Whoever applied other sysctls after that took the room away.',
    prove:
      'sysctl net.netfilter.nf_conntrack_max; grep -r conntrack_max /etc/sysctl.d /usr/lib/sysctl.d',
    fix: 'Take the setting out of the files that are applied later, and restart the proxy.',
    source: 'cmd/kube-proxy/app/conntrack.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'ipvs-udp-timeout',
    severity: 'warning',
    title: 'ipvs.udpTimeout has no effect',
    seen: (facts) => {
      if (modeOf(facts) !== 'ipvs') return [];
      const ms = valueOf(facts.settings)?.values.ipvsUdpTimeout ?? 0;
      const seconds = sysctlNumber(facts, 'net.netfilter.nf_conntrack_udp_timeout') ?? UDP_TIMEOUT;
      return when(
        ms > seconds * 1000,
        `ipvs.udpTimeout is ${ms / 1000} s, nf_conntrack_udp_timeout ${seconds} s`,
      );
    },
    why: 'With net.ipv4.vs.conntrack=1 the connection tracking forgets the flow first, and its answers are not translated back any more.',
    prove: 'ipvsadm -L --timeout; sysctl net.netfilter.nf_conntrack_udp_timeout',
    fix: 'Set conntrack.udpTimeout and conntrack.udpStreamTimeout at least as high.',
    source: 'kubernetes/kubernetes#120076',
    date: '2026-08',
  },
  {
    id: 'invalid-drop-with-dsr',
    severity: 'critical',
    title: 'INVALID packets are dropped beside direct server return',
    seen: (facts) => {
      const rules = (valueOf(facts.iptables) ?? []).flatMap((table) =>
        table.rules.filter((rule) =>
          /^-A KUBE-FORWARD .*--ctstate INVALID .*-j DROP/.test(`${rule} `),
        ),
      );
      const services = (valueOf(facts.services) ?? []).filter(
        ({ annotations }) => annotations.get('service.antrea.io/load-balancer-mode') === 'dsr',
      );
      return when(
        rules.length > 0 && services.length > 0,
        `${services.map(({ key }) => key).join(', ')}: load-balancer-mode dsr of Antrea, and KUBE-FORWARD drops INVALID`,
      );
    },
    why: 'With direct return the node sees one direction only, so connection tracking takes the packets for invalid, and the rule that kube-proxy left or keeps drops them.',
    prove: 'iptables-save -t filter | grep INVALID',
    fix: 'Remove what kube-proxy left, or set conntrack.tcpBeLiberal: true and restart kube-proxy, which then writes no such rule.',
    source: 'kubernetes/kubernetes#117924, PR #120412; documentation of Antrea',
    date: '2026-08',
  },
  {
    id: 'conn-tab-bits-sysctl',
    severity: 'notice',
    title: 'conn_tab_bits is no sysctl',
    seen: (facts) =>
      (valueOf(facts.sysctlFiles) ?? [])
        .filter(({ name }) => name.endsWith('.conn_tab_bits'))
        .map(({ file, name, value }) => `${file}: ${name} = ${value}`),
    why: 'It is a parameter of the module ip_vs and counts buckets of a hash table, not connections. The line has no effect, and there is no limit of connections that it could raise.',
    prove: 'modinfo -p ip_vs; cat /sys/module/ip_vs/parameters/conn_tab_bits',
    fix: 'Take the line out. If the table is too small: options ip_vs conn_tab_bits=20 in /etc/modprobe.d.',
    source: 'Linux, net/netfilter/ipvs/ip_vs_conn.c',
    date: '2026-08',
  },
  {
    id: 'modprobe-without-a',
    severity: 'notice',
    title: 'modprobe loads only the first of these modules',
    seen: (facts) =>
      (valueOf(facts.modprobeLines) ?? []).flatMap(({ file, text }) => {
        const words = text.split(/\s+/).slice(1);
        const options = words.filter((word) => /^-(?:-all$|[a-z]*a)/.test(word));
        const names = words.filter((word) => /^(?:ip_vs|nf_|xt_)\w*$/.test(word));
        return when(options.length === 0 && names.length > 1, `${file}: ${text}`);
      }),
    why: 'Without -a, what follows the first name is passed to it as parameters. Guides for ipvs mode have this line.',
    prove: 'modprobe --help | grep -A1 -e --all',
    fix: 'modprobe -a ip_vs ip_vs_rr …; better, one name a line in a file of /etc/modules-load.d.',
    source: 'modprobe(8)',
    date: '2026-08',
  },
  {
    id: 'be-liberal-late',
    severity: 'notice',
    title: 'tcpBeLiberal is set, and the kernel has it off',
    seen: (facts) => {
      const isWanted = valueOf(facts.settings)?.values.conntrackTcpBeLiberal === true;
      const isOff = sysctl(facts, 'net.netfilter.nf_conntrack_tcp_be_liberal') === '0';
      return when(
        isWanted && isOff && (runs(facts, 'kube-proxy') || runs(facts, 'switchyard')),
        'conntrack.tcpBeLiberal is true, net.netfilter.nf_conntrack_tcp_be_liberal is 0',
      );
    },
    why: 'Somebody set it back after the start of the proxy: packets outside of the TCP window count as invalid again, and connections are reset.',
    prove: 'sysctl net.netfilter.nf_conntrack_tcp_be_liberal',
    fix: 'Find who writes it (grep -r be_liberal /etc/sysctl.d), and restart the proxy.',
    source: 'kubernetes/kubernetes#74839, PR #120412',
    date: '2026-08',
  },
];

/** The limit that the proxy sets at its start; 0: none. `undefined`: not known. */
function wantedConnections(facts: Facts): number | undefined {
  const settings = valueOf(facts.settings);
  const cpus = valueOf(facts.cpus);
  if (settings === undefined || cpus === undefined) return undefined;
  const { conntrackMaxPerCore = PER_CORE, conntrackMin = LEAST } = settings.values;
  if (conntrackMaxPerCore <= 0) return 0;
  const byCores = conntrackMaxPerCore * cpus;
  // Beyond the cap, kube-proxy does not look at the least number.
  return byCores > MOST ? MOST : Math.max(byCores, conntrackMin);
}
