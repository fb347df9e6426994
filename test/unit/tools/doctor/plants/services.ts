/** Faults of Services. */
import { service } from '../clean-node.ts';
import { DEPRECATED, type Plant, all, inMode, inIpvs, objects, served } from './plant.ts';

export const SERVICE_PLANTS: readonly Plant[] = [
  {
    rule: 'external-ips',
    change: served('shop/ext', { externalIPs: ['192.0.2.77'] }),
    says: /shop\/ext: 192\.0\.2\.77/,
  },
  {
    rule: 'etp-local-gaps',
    change: served(
      'shop/np',
      { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30_081 }] },
      {},
      { '10.244.0.9': 'n1' },
    ),
    says: /shop\/np: none on n2/,
  },
  {
    rule: 'itp-local-gaps',
    change: served('shop/log', { internalTrafficPolicy: 'Local' }, {}, { '10.244.0.9': 'n1' }),
    says: /shop\/log: none on n2/,
  },
  {
    rule: 'local-without-node-name',
    change: served(
      'shop/log',
      { internalTrafficPolicy: 'Local' },
      {},
      { '10.244.0.9': 'n1', '10.9.9.9': undefined },
    ),
    says: /shop\/log: 10\.9\.9\.9/,
  },
  {
    rule: 'service-without-endpoints',
    change: objects(service('shop/empty', { clusterIP: '10.96.0.88' })),
    says: /^shop\/empty$/,
  },
  {
    rule: 'proxy-protocol-vip',
    change: served(
      'shop/pp',
      { type: 'LoadBalancer' },
      {
        annotations: { 'load-balancer.hetzner.cloud/uses-proxyprotocol': 'true' },
        ingress: [{ ip: '192.0.2.78' }],
      },
    ),
    says: /shop\/pp: .*ipMode of 192\.0\.2\.78 is VIP/,
  },
  {
    rule: 'local-with-ip-mode-proxy',
    change: served(
      'shop/lp',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_001 },
      { ingress: [{ ip: '192.0.2.79', ipMode: 'Proxy' }] },
    ),
    says: /shop\/lp/,
  },
  {
    rule: 'annotation-ipvs-scheduler',
    change: served('shop/lc', {}, { annotations: { 'ipvs.scheduler': 'lc' } }),
    says: /shop\/lc/,
  },
  {
    rule: 'kube-router-annotations',
    change: served('shop/mh', {}, { annotations: { 'kube-router.io/service.scheduler': 'mh' } }),
    says: /shop\/mh/,
  },
  {
    rule: 'source-ranges-node-port',
    change: served('shop/lb', {
      type: 'LoadBalancer',
      loadBalancerSourceRanges: ['192.0.2.0/24'],
      ports: [{ port: 80, nodePort: 30_090 }],
    }),
    says: /shop\/lb: node port 30090/,
  },
  {
    rule: 'service-of-another-proxy',
    change: served(
      'shop/other',
      {},
      { labels: { 'service.kubernetes.io/service-proxy-name': 'lox' } },
    ),
    says: /shop\/other/,
  },
  {
    rule: 'address-claimed-twice',
    change: served('shop/twin', { type: 'LoadBalancer' }, { ingress: [{ ip: '192.0.2.10' }] }),
    says: /TCP 192\.0\.2\.10:80: shop\/web, shop\/twin/,
  },
  {
    rule: 'affinity-many-clients',
    change: all(inMode('iptables'), served('shop/sticky', { sessionAffinity: 'ClientIP' })),
    says: /shop\/sticky/,
  },
  {
    rule: 'affinity-short-in-ipvs',
    change: all(
      inIpvs(),
      served('shop/sticky', {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 10 } },
      }),
    ),
    says: /shop\/sticky/,
    also: DEPRECATED,
  },
];
