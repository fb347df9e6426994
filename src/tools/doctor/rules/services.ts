/** Services that cannot work as they are, or will not for long. */
import { hostPort, isLinkLocal } from '../../../core/ip.ts';
import { type Facts, valueOf } from '../facts/facts.ts';
import { PROXY_PROTOCOL, type ServiceFacts } from '../facts/cluster.ts';
import type { Rule } from '../rule.ts';
import {
  isSwitchyard,
  kubeProxyMode,
  modeOf,
  readyEndpoints,
  runs,
  servedServices,
} from './about.ts';

/** Seconds for which IPVS remembers a connection that was closed; they come on top of an affinity timeout. */
const IPVS_TIME_WAIT = 120;
/** Nodes that a line names. */
const SHOWN_NODES = 3;

export const SERVICE_RULES: readonly Rule[] = [
  {
    id: 'external-ips',
    severity: 'warning',
    title: 'Services use externalIPs',
    seen: (facts) =>
      servedServices(facts)
        .filter(({ service }) => service.externalIPs.length > 0)
        .map(({ key, service }) => `${key}: ${service.externalIPs.join(', ')}`),
    why: 'The field is deprecated since Kubernetes 1.36; by plan it is off by default from about 1.40 and gone from about 1.43. Whoever may create Services can take traffic of others with it (CVE-2020-8554).',
    prove:
      "kubectl get services -A -o json | jq -r '.items[]|select(.spec.externalIPs)|.metadata.name'",
    fix: 'Use type: LoadBalancer with a controller that assigns addresses (MetalLB, kube-vip, LoxiLB), or the Gateway API.',
    source: 'KEP-5707',
    date: '2026-08',
  },
  {
    id: 'etp-local-gaps',
    severity: 'warning',
    title: 'externalTrafficPolicy Local, and nodes without an endpoint',
    seen: (facts) =>
      servedServices(facts).flatMap((facts_) => {
        const { key, service } = facts_;
        const isExternal =
          service.externalIPs.length > 0 || service.ports.some(({ nodePort }) => nodePort > 0);
        if (service.externalTrafficPolicy !== 'Local' || !isExternal) return [];
        if (service.healthCheckNodePort > 0) return [];
        return gaps(facts, facts_).map((nodes) => `${key}: none on ${nodes}`);
      }),
    why: 'These nodes drop what comes to them from outside, and without a health-check port nothing keeps clients away from them. In ipvs mode of kube-proxy the connection hangs instead: it is sent on, and the answer gets lost.',
    prove: 'kubectl get endpointslices -l kubernetes.io/service-name=<name> -o wide',
    fix: 'type: LoadBalancer, which has a health check; or an endpoint on every node that clients use; or policy Cluster.',
    source: 'kubernetes/kubernetes#75262, #93456; pkg/proxy/ipvs, syncEndpoint()',
    date: '2026-08',
  },
  {
    id: 'itp-local-gaps',
    severity: 'warning',
    title: 'internalTrafficPolicy Local, and nodes without an endpoint',
    seen: (facts) =>
      servedServices(facts)
        .filter(({ service }) => service.internalTrafficPolicy === 'Local')
        .flatMap((service) =>
          gaps(facts, service).map((nodes) => `${service.key}: none on ${nodes}`),
        ),
    why: 'For pods of these nodes the cluster IP leads nowhere: connections are dropped, endpoints elsewhere do not count.',
    prove: 'kubectl get endpointslices -l kubernetes.io/service-name=<name> -o wide',
    fix: 'Run the endpoints as a DaemonSet on all nodes; or use trafficDistribution: PreferSameNode, which falls back to others.',
    source: 'KEP-2086; KEP-3015',
    date: '2026-08',
  },
  {
    id: 'local-without-node-name',
    severity: 'warning',
    title: 'Endpoints of a policy Local that belong to no node',
    seen: (facts) =>
      servedServices(facts).flatMap((service) => {
        const { internalTrafficPolicy, externalTrafficPolicy } = service.service;
        if (internalTrafficPolicy !== 'Local' && externalTrafficPolicy !== 'Local') return [];
        const homeless = (readyEndpoints(facts, service) ?? []).filter(
          ({ nodeName }) => nodeName === undefined,
        );
        return homeless.length === 0
          ? []
          : [`${service.key}: ${homeless.map(({ address }) => address).join(', ')}`];
      }),
    why: 'An endpoint without nodeName is local to no node, so it gets no traffic of this policy at all.',
    prove: 'kubectl get endpointslices -o yaml | grep -c nodeName',
    fix: 'Set nodeName in EndpointSlices that are written by hand or by a controller of yours, or use policy Cluster.',
    source: 'pkg/proxy/topology.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'service-without-endpoints',
    severity: 'warning',
    title: 'Services without a ready endpoint',
    seen: (facts) =>
      servedServices(facts)
        .filter(({ service }) => service.ports.length > 0)
        .filter((service) => readyEndpoints(facts, service)?.length === 0)
        .map(({ key }) => key),
    why: 'Clients are refused, unless endpoints that are about to end still serve.',
    prove: 'kubectl get endpointslices -l kubernetes.io/service-name=<name>',
    fix: "See whether the selector matches the pods' labels, whether the pods are ready, and whether targetPort has a name that they have.",
    source: 'Kubernetes documentation, Debug Services',
    date: '2026-08',
  },
  {
    id: 'proxy-protocol-vip',
    severity: 'warning',
    title: 'Inside the cluster the load balancer is left out, and endpoints expect it',
    seen: (facts) =>
      servedServices(facts).flatMap(({ key, annotations, ingress }) => {
        const name = PROXY_PROTOCOL.find((annotation) => {
          const value = annotations.get(annotation);
          return value !== undefined && value !== '' && value !== 'false';
        });
        const direct = ingress.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip);
        if (name === undefined || direct.length === 0) return [];
        return [`${key}: ${name}, and ipMode of ${direct.join(', ')} is VIP`];
      }),
    why: 'Clients in the cluster that use the load-balancer address go to the endpoints directly, without the header of the PROXY protocol that these wait for: connections hang or are closed.',
    prove: 'kubectl get service <name> -o jsonpath={.status.loadBalancer.ingress}',
    fix: 'A controller that sets ipMode: Proxy (since Kubernetes 1.32 stable), or a hostname in place of the address.',
    source: 'kubernetes/kubernetes#66607; KEP-1860',
    date: '2026-08',
  },
  {
    id: 'local-with-ip-mode-proxy',
    severity: 'notice',
    title: 'externalTrafficPolicy Local with ipMode Proxy',
    seen: (facts) =>
      servedServices(facts)
        .filter(
          ({ service, ingress }) =>
            service.externalTrafficPolicy === 'Local' &&
            ingress.some(({ ipMode }) => ipMode === 'Proxy'),
        )
        .map(({ key }) => key),
    why: 'What the two mean together is not settled upstream, and may change.',
    prove: 'kubectl get service <name> -o yaml',
    fix: 'Use policy Cluster where the load balancer passes the client address on by other means.',
    source: 'kubernetes/kubernetes#123714',
    date: '2026-08',
  },
  {
    id: 'annotation-ipvs-scheduler',
    severity: 'notice',
    title: 'The annotation ipvs.scheduler has no effect',
    seen: (facts) =>
      isSwitchyard(facts)
        ? []
        : annotated(facts, ({ annotations }) => annotations.has('ipvs.scheduler')),
    why: 'Articles recommend it, but kube-proxy never had such an annotation: the scheduler is one for the whole node.',
    prove: 'ipvsadm -Ln',
    fix: 'Take it out. Switchyard in ipvs mode reads it, as switchyard.dev/ipvs-scheduler.',
    source: 'kubernetes/kubernetes#75502, #118784, #121591 (refused)',
    date: '2026-08',
  },
  {
    id: 'kube-router-annotations',
    severity: 'notice',
    title: 'Annotations of kube-router, and no kube-router',
    seen: (facts) => {
      const isKnown = valueOf(facts.processes) !== undefined;
      if (!isKnown || runs(facts, 'kube-router') || isSwitchyard(facts)) return [];
      return annotated(facts, ({ annotations }) =>
        ['kube-router.io/service.scheduler', 'kube-router.io/service.schedflags'].some((name) =>
          annotations.has(name),
        ),
      );
    },
    why: 'kube-proxy does not read them.',
    prove: 'ps -eo args | grep kube-router',
    fix: 'Take them out. Switchyard in ipvs mode reads them.',
    source: 'documentation of kube-router; docs/annotations.md',
    date: '2026-08',
  },
  {
    id: 'source-ranges-node-port',
    severity: 'notice',
    title: 'loadBalancerSourceRanges do not protect the node port',
    seen: (facts) =>
      servedServices(facts)
        .filter(
          ({ service }) =>
            service.loadBalancerSourceRanges.length > 0 &&
            service.ports.some(({ nodePort }) => nodePort > 0),
        )
        .map(({ key, service }) => {
          const ports = service.ports.map(({ nodePort }) => nodePort).filter((port) => port > 0);
          return `${key}: node port ${ports.join(', ')}`;
        }),
    why: 'They count for the load-balancer address only. Whoever reaches a node gets to the Service by its node port.',
    prove: 'curl <node>:<nodePort>',
    fix: 'allocateLoadBalancerNodePorts: false where the load balancer does not need them, nodePortAddresses, or a NetworkPolicy.',
    source: 'pkg/proxy of Kubernetes 1.36; kubernetes/kubernetes#119656',
    date: '2026-08',
  },
  {
    id: 'service-of-another-proxy',
    severity: 'warning',
    title: 'Services are left to a proxy that does not run here',
    seen: (facts) => {
      const others = ['kube-router', 'cilium-agent', 'antrea-agent'] as const;
      const isKnown = valueOf(facts.processes) !== undefined;
      if (!isKnown || others.some((name) => runs(facts, name))) return [];
      return (valueOf(facts.services) ?? [])
        .filter(({ service }) => service.foreignProxy && service.clusterIPs.length > 0)
        .map(({ key }) => key);
    },
    why: 'With the label service.kubernetes.io/service-proxy-name, whatever its value, kube-proxy and Switchyard pass a Service over: nobody answers.',
    prove: 'kubectl get services -A -l service.kubernetes.io/service-proxy-name',
    fix: 'Take the label off, or run the proxy that it names.',
    source: 'Kubernetes documentation, well-known labels; KEP-2447',
    date: '2026-08',
  },
  {
    id: 'address-claimed-twice',
    severity: 'warning',
    title: 'Two Services claim the same address and port',
    seen: (facts) => {
      const claims = Map.groupBy(
        servedServices(facts).flatMap(({ key, service }) =>
          [...new Set([...service.externalIPs, ...service.loadBalancerIPs])]
            .filter((address) => !isLinkLocal(address))
            .flatMap((address) =>
              service.ports.map(({ protocol, port }) => ({
                key,
                place: `${protocol} ${hostPort(address, port)}`,
              })),
            ),
        ),
        ({ place }) => place,
      );
      return [...claims].flatMap(([place, owners]) => {
        const keys = [...new Set(owners.map(({ key }) => key))];
        return keys.length > 1 ? [`${place}: ${keys.join(', ')}`] : [];
      });
    },
    why: 'One of them is served, the other never gets a connection; with kube-proxy it is not defined which, and it may differ between nodes.',
    prove: 'kubectl get services -A -o wide | grep <address>',
    fix: 'Give each an address or a port of its own.',
    source: 'core/claims.ts; pkg/proxy of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'affinity-many-clients',
    severity: 'notice',
    title: 'Session affinity forgets clients in iptables mode',
    seen: (facts) =>
      kubeProxyMode(facts) === 'iptables'
        ? annotated(facts, ({ service }) => service.affinitySeconds !== undefined)
        : [],
    why: 'It rests on the match "recent", which remembers 100 clients for each endpoint unless the module is told otherwise; further ones push out the oldest, without a word.',
    prove: 'cat /sys/module/xt_recent/parameters/ip_list_tot',
    fix: 'options xt_recent ip_list_tot=… in /etc/modprobe.d, or nftables mode, which remembers 65,535 for each endpoint.',
    source: 'Linux, net/netfilter/xt_recent.c; kubernetes/kubernetes#110302',
    date: '2026-08',
  },
  {
    id: 'affinity-short-in-ipvs',
    severity: 'notice',
    title: 'Session affinity lasts longer than asked for',
    seen: (facts) =>
      modeOf(facts) === 'ipvs'
        ? annotated(
            facts,
            ({ service: { affinitySeconds = IPVS_TIME_WAIT } }) => affinitySeconds < IPVS_TIME_WAIT,
          )
        : [],
    why: 'IPVS renews it as long as it remembers a connection of the client, which is two minutes after its end.',
    prove: 'ipvsadm -Lnc | grep NONE',
    fix: 'Do not count on timeoutSeconds below 120 in ipvs mode.',
    source: 'kubernetes/kubernetes#89358',
    date: '2026-08',
  },
];

function annotated(facts: Facts, isMeant: (service: ServiceFacts) => boolean): readonly string[] {
  return servedServices(facts)
    .filter(isMeant)
    .map(({ key }) => key);
}

/** At most one text: the nodes without a ready endpoint of a Service that has one elsewhere. */
function gaps(facts: Facts, service: ServiceFacts): readonly string[] {
  const endpoints = readyEndpoints(facts, service);
  if (endpoints === undefined || endpoints.length === 0) return [];
  const taken = new Set(endpoints.map(({ nodeName }) => nodeName));
  const missing = (valueOf(facts.nodes) ?? [])
    .map(({ node }) => node.name)
    .filter((name) => !taken.has(name));
  if (missing.length === 0 || taken.has(undefined)) return [];
  const shown = missing.slice(0, SHOWN_NODES).join(', ');
  const more = missing.length - SHOWN_NODES;
  return [more > 0 ? `${shown} and ${more} more` : shown];
}
