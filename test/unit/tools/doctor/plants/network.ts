/** Faults of interfaces, network plugins and ports. */
import { link } from '../clean-node.ts';
import { type Plant, all, text, added, inMode, linksAdded } from './plant.ts';

export const NETWORK_PLANTS: readonly Plant[] = [
  {
    rule: 'mtu-overlay',
    change: linksAdded(link('vxlan.calico', 1500, 'vxlan', [])),
    says: /vxlan\.calico .* 1500; eth0 with 1500 leaves 1450/,
  },
  {
    rule: 'mtu-cni',
    change: (node) => ({
      ...node,
      cni: new Map([['10-calico.conflist', { plugins: [{ type: 'calico', mtu: 9000 }] }]]),
    }),
    says: /calico has mtu 9000, eth0 has 1500/,
  },
  {
    rule: 'two-cni-configurations',
    change: (node) => ({
      ...node,
      cni: new Map([...node.cni, ['05-cilium.conflist', { plugins: [{ type: 'cilium-cni' }] }]]),
    }),
    says: /05-cilium\.conflist counts/,
  },
  {
    rule: 'hairpin-off',
    change: (node) => ({
      ...node,
      cni: new Map([['10-bridge.conf', { type: 'bridge', bridge: 'cni0' }]]),
    }),
    says: /10-bridge\.conf: bridge without hairpinMode/,
  },
  {
    rule: 'health-port-taken',
    change: (node) =>
      text(
        'listeners',
        node.texts.listeners.replace('"kube-proxy",pid=900,fd=9', '"nginx",pid=77,fd=9'),
      )(node),
    says: /10256: nginx \(pid 77\)/,
  },
  {
    rule: 'metrics-port-taken',
    change: (node) =>
      text(
        'listeners',
        node.texts.listeners.replace('"kube-proxy",pid=900,fd=8', '"nginx",pid=77,fd=8'),
      )(node),
    says: /10249: nginx/,
  },
  {
    rule: 'node-port-taken',
    change: added('listeners', 'tcp LISTEN 0 128 [::]:30080 [::]:* users:(("java",pid=66,fd=5))'),
    says: /TCP 30080 of shop\/web: java \(pid 66\) listens on :: port 30080/,
  },
  {
    rule: 'health-check-port-taken',
    change: added('listeners', 'tcp LISTEN 0 128 *:31000 *:* users:(("java",pid=66,fd=5))'),
    says: /31000 of shop\/web: java/,
  },
  {
    rule: 'forward-policy-drop',
    change: all(
      (node) =>
        text(
          'iptables-save',
          node.texts['iptables-save'].replace(':FORWARD ACCEPT', ':FORWARD DROP'),
        )(node),
      added(
        'nft-list',
        'table inet firewalld {\n\tchain forward {\n\t\ttype filter hook forward priority filter + 10; policy drop;\n\t}\n}',
      ),
    ),
    says: /ip filter FORWARD: policy drop\ninet firewalld forward: policy drop/,
  },
  {
    rule: 'node-ports-primary-only',
    change: linksAdded(link('eth1', 1500, '', ['192.0.2.5'])),
    says: /10\.0\.0\.11, 192\.0\.2\.5/,
  },
  {
    rule: 'node-ports-everywhere',
    change: all(inMode('iptables'), linksAdded(link('virbr0', 1500, 'bridge', ['192.168.122.1']))),
    says: /virbr0 \(192\.168\.122\.1\)/,
  },
];
