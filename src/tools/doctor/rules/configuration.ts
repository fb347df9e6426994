/** How the proxy is configured, and whether it works with that. */
import { FLAGS, OPTIONS } from '../../../agent/config/options.ts';
import { parseCidr } from '../../../core/ip.ts';
import { valueOf } from '../facts/facts.ts';
import { splitFlag } from '../facts/proxy.ts';
import type { Rule } from '../rule.ts';
import { isSwitchyard, when } from './about.ts';

export const CONFIGURATION_RULES: readonly Rule[] = [
  {
    id: 'config-mode-differs',
    severity: 'warning',
    title: 'kube-proxy does not run in the mode it is configured for',
    seen: (facts) => {
      const served = valueOf(facts.servedMode);
      const settings = valueOf(facts.settings);
      if (served === undefined || settings?.mode === undefined) return [];
      return when(
        served !== settings.mode,
        `${settings.from} says ${settings.mode}, and it answers ${served}`,
      );
    },
    why: 'It watches its file, but does not notice when a ConfigMap that is mounted changes. The next restart, maybe that of an upgrade, changes the mode.',
    prove: 'curl -s 127.0.0.1:10249/proxyMode',
    fix: 'Restart its pods, one node at a time, or take the change back.',
    source: 'kubernetes/kubernetes#57144, #86869, #132877',
    date: '2026-08',
  },
  {
    id: 'flags-ignored',
    severity: 'warning',
    title: 'Flags of kube-proxy have no effect',
    seen: (facts) => {
      if (isSwitchyard(facts)) return [];
      const proxies = (valueOf(facts.processes) ?? []).filter(({ name }) => name === 'kube-proxy');
      return proxies.flatMap(({ pid, flags }) => {
        const ignored = ignoredFlags(flags.map(splitFlag).map(([name]) => name));
        return when(ignored.length > 0, `pid ${pid}, beside --config: ${ignored.join(', ')}`);
      });
    },
    why: 'With --config all flags are ignored but a few, such as --hostname-override and those for the log.',
    prove: 'ps -o args= -C kube-proxy',
    fix: 'Write these settings into the configuration file.',
    source: 'cmd/kube-proxy/app/options.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'config-unknown-fields',
    severity: 'warning',
    title: 'The configuration has fields that nobody reads',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      const fields = settings?.unknownFields ?? [];
      return when(fields.length > 0, `${fields.join(', ')} in ${settings?.from}`);
    },
    why: 'kube-proxy passes over unknown fields with a line in its log: what is misspelt is not set.',
    prove: 'kube-proxy --config=FILE --write-config-to=/dev/stdout  # what it read',
    fix: 'Correct the names: they are those of KubeProxyConfiguration, v1alpha1.',
    source: 'cmd/kube-proxy/app/options.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'kubeadm-nested-config',
    severity: 'warning',
    title: 'ClusterConfiguration has a block for kube-proxy',
    seen: (facts) =>
      when(
        valueOf(facts.cluster)?.kubeadmHasProxyBlock === true,
        'ConfigMap kubeadm-config, ClusterConfiguration',
      ),
    why: 'Widely read guides put "kube-proxy: config: mode: ipvs" there. kubeadm has no such field: the mode does not change.',
    prove: 'kubectl -n kube-system get configmap kubeadm-config -o yaml | grep -i proxy',
    fix: 'Give kubeadm a second document: apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration.',
    source: 'kubeadm v1beta4 and kubeproxy.config.k8s.io/v1alpha1 types',
    date: '2026-08',
  },
  {
    id: 'sync-failures',
    severity: 'critical',
    title: 'kube-proxy failed to write its rules',
    seen: (facts) =>
      [...(valueOf(facts.metrics)?.counters ?? [])]
        .filter(([name, count]) => name.endsWith('_failures_total') && count > 0)
        .map(([name, count]) => `${name} is ${count}`),
    why: 'After a failure it tries again with a full sync, but only after its sync period, 30 s by default; until then clients go to endpoints that are gone.',
    prove: 'curl -s 127.0.0.1:10249/metrics | grep failures_total',
    fix: 'The log has the reason: a lock that others hold, an nft that cannot read a table of somebody else, a module that is missing.',
    source: 'pkg/proxy/metrics of Kubernetes 1.36; kubernetes/kubernetes#136786',
    date: '2026-08',
  },
  {
    id: 'cluster-cidr-missing',
    severity: 'notice',
    title: 'The proxy cannot tell the traffic of pods',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      if (settings === undefined) return [];
      const { detectLocalMode = 'ClusterCIDR', clusterCidr = [] } = settings.values;
      return when(
        detectLocalMode === 'ClusterCIDR' && clusterCidr.length === 0,
        `detectLocalMode is ClusterCIDR, and clusterCIDR is not in ${settings.from}`,
      );
    },
    why: 'Traffic from outside to a cluster IP is then not masqueraded, and its answers may take another way back; with externalTrafficPolicy Local, pods reach load-balancer addresses as strangers do, by endpoints on their own node only.',
    prove:
      'kubectl -n kube-system get configmap kube-proxy -o yaml | grep -i -e clusterCIDR -e detectLocal',
    fix: "Set clusterCIDR to the pods' range, or detectLocalMode: NodeCIDR or InterfaceNamePrefix.",
    source: 'pkg/proxy/util/localdetector.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'exclude-cidrs-broken',
    severity: 'critical',
    title: 'excludeCIDRs has what is no CIDR',
    seen: (facts) => {
      const settings = valueOf(facts.settings);
      if (settings?.mode !== 'ipvs') return [];
      const broken = (settings.values.ipvsExcludeCidrs ?? []).filter(
        (text) => parseCidr(text) === undefined,
      );
      return when(broken.length > 0, broken.join(', '));
    },
    why: 'kube-proxy refuses its configuration and does not start.',
    prove: 'kubectl -n kube-system logs ds/kube-proxy | grep excludeCIDRs',
    fix: 'Write ranges such as 192.0.2.0/24; one address is 192.0.2.1/32.',
    source: 'pkg/proxy/apis/config/validation of Kubernetes 1.36',
    date: '2026-08',
  },
];

function ignoredFlags(names: readonly string[]): readonly string[] {
  if (!names.includes('config')) return [];
  return names
    .filter((name) => {
      const key = FLAGS.get(name);
      return key !== undefined && key !== 'configFile' && OPTIONS[key].withFile === undefined;
    })
    .map((name) => `--${name}`);
}
