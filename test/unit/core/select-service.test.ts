import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../../../src/core/model.ts';
import { select } from '../../../src/core/select/select.ts';
import {
  cidr,
  endpoint,
  ip,
  ips,
  onlyRoute,
  port,
  service,
  show,
  showFrontends,
  slice,
  view,
} from './build.ts';
import { formatCidr } from '../../../src/core/ip.ts';

const DUAL_STACK: Partial<Service> = {
  clusterIPs: ips('10.96.0.1 fd00:96::1'),
  ipFamilies: ['IPv4', 'IPv6'],
};

const NOT_OURS: readonly (readonly [name: string, fields: Partial<Service>])[] = [
  ['with the label of another proxy', { foreignProxy: true }],
  ['of type ExternalName', { type: 'ExternalName' }],
  ['without a cluster IP (headless)', { clusterIPs: [], ipFamilies: [] }],
  [
    'without a cluster IP but with external addresses',
    {
      clusterIPs: [],
      ipFamilies: [],
      externalIPs: ips('198.51.100.1'),
      loadBalancerIPs: ips('198.51.100.2'),
      ports: [port({ nodePort: 30_080 })],
    },
  ],
];

for (const [name, fields] of NOT_OURS) {
  test(`a Service ${name} has no Routes`, () => {
    const selection = select(service(fields), [slice([endpoint('10.1.0.1')])], view());
    assert.deepEqual(selection, { routes: [], healthCheck: undefined, problems: [] });
  });
}

test('a Service without ports has no Routes', () => {
  const selection = select(service({ ports: [] }), [slice([endpoint('10.1.0.1')])], view());
  assert.deepEqual(selection, { routes: [], healthCheck: undefined, problems: [] });
});

test('a Route is named after namespace, name, port, protocol and family', () => {
  const ports = [port({ name: 'http' }), port({ name: '', port: 81, protocol: 'SCTP' })];
  const { routes } = select(service({ ...DUAL_STACK, ports }), [], view());
  assert.deepEqual(
    routes.map(({ key, label, service: name, family, protocol }) => [
      key,
      label,
      name,
      family,
      protocol,
    ]),
    [
      ['shop/web:http/TCP/IPv4', 'shop/web:http', 'shop/web', 'IPv4', 'TCP'],
      ['shop/web:/SCTP/IPv4', 'shop/web', 'shop/web', 'IPv4', 'SCTP'],
      ['shop/web:http/TCP/IPv6', 'shop/web:http', 'shop/web', 'IPv6', 'TCP'],
      ['shop/web:/SCTP/IPv6', 'shop/web', 'shop/web', 'IPv6', 'SCTP'],
    ],
  );
});

test('a dual-stack Service keeps its families apart', () => {
  const { routes } = select(
    service({
      ...DUAL_STACK,
      type: 'LoadBalancer',
      ports: [port({ nodePort: 30_080 })],
      externalIPs: ips('2001:db8::1 198.51.100.1'),
      loadBalancerIPs: ips('198.51.100.2 2001:db8::2'),
    }),
    [
      slice([endpoint('10.1.0.1')]),
      slice([endpoint('fd00:1::1')], { name: 'web-2', family: 'IPv6' }),
    ],
    view(),
  );
  assert.deepEqual(routes.map(showFrontends), [
    [
      'clusterIP 10.96.0.1:80',
      'externalIP 198.51.100.1:80',
      'loadBalancer 198.51.100.2:80',
      'nodePort 192.168.0.1:30080',
    ],
    [
      'clusterIP [fd00:96::1]:80',
      'externalIP [2001:db8::1]:80',
      'loadBalancer [2001:db8::2]:80',
      'nodePort [fd01::1]:30080',
    ],
  ]);
  assert.deepEqual(
    routes.map(({ internal }) => show(internal)),
    [['10.1.0.1:8080'], ['[fd00:1::1]:8080']],
  );
});

test('a family that only external addresses have is not served', () => {
  const route = onlyRoute(service({ externalIPs: ips('2001:db8::1') }));
  assert.deepEqual(showFrontends(route), ['clusterIP 10.96.0.1:80']);
});

test('external policy Local does not apply to a family that nobody reaches from outside', () => {
  const { routes } = select(
    service({ ...DUAL_STACK, externalTrafficPolicy: 'Local', externalIPs: ips('2001:db8::1') }),
    [],
    view(),
  );
  assert.deepEqual(
    routes.map(({ masqueradeExternal }) => masqueradeExternal),
    [true, false],
  );
});

test('a cluster IP that is not of its family is reported and not served', () => {
  const { routes, problems } = select(
    service({ clusterIPs: ips('10.96.0.1 10.96.0.2'), ipFamilies: ['IPv4', 'IPv6'] }),
    [],
    view(),
  );
  assert.deepEqual(
    routes.map(({ key }) => key),
    ['shop/web:/TCP/IPv4'],
  );
  assert.deepEqual(problems, ['cluster IP 10.96.0.2 is no IPv6 address; IPv6 is not served']);
});

test('a second cluster IP of a family is reported and not served', () => {
  const { routes, problems } = select(
    service({ clusterIPs: ips('10.96.0.1 10.96.0.2'), ipFamilies: [] }),
    [],
    view(),
  );
  assert.deepEqual(routes.map(showFrontends), [['clusterIP 10.96.0.1:80']]);
  assert.deepEqual(problems, ['cluster IP 10.96.0.2 is a second one for IPv4; it is not served']);
});

test('a Service without ipFamilies has the families of its cluster IPs', () => {
  const { routes } = select(service({ clusterIPs: ips('fd00:96::1'), ipFamilies: [] }), [], view());
  assert.deepEqual(
    routes.map(({ key }) => key),
    ['shop/web:/TCP/IPv6'],
  );
});

test('a node port is served on each node address of the family, and only where it is set', () => {
  const ports = [port({ nodePort: 30_080 }), port({ name: 'x', port: 81 })];
  const { routes } = select(
    service({ type: 'NodePort', ports }),
    [],
    view({ nodePortAddresses: ips('192.168.0.1 192.168.1.1 fd01::1') }),
  );
  assert.deepEqual(routes.map(showFrontends), [
    ['clusterIP 10.96.0.1:80', 'nodePort 192.168.0.1:30080', 'nodePort 192.168.1.1:30080'],
    ['clusterIP 10.96.0.1:81'],
  ]);
});

test('a node port makes a Service external even where no address serves it', () => {
  const route = onlyRoute(
    service({
      type: 'NodePort',
      ports: [port({ nodePort: 30_080 })],
      externalTrafficPolicy: 'Local',
    }),
    [slice([endpoint('10.1.0.1')])],
    view({ nodePortAddresses: [] }),
  );
  assert.deepEqual(showFrontends(route), ['clusterIP 10.96.0.1:80']);
  assert.equal(show(route.external), 'drop');
});

test('a frontend that two kinds name appears once, as the first kind', () => {
  const route = onlyRoute(
    service({
      type: 'LoadBalancer',
      ports: [port({ port: 80, nodePort: 80 })],
      externalIPs: ips('198.51.100.1 10.96.0.1'),
      loadBalancerIPs: ips('198.51.100.1 192.168.0.1'),
    }),
  );
  assert.deepEqual(showFrontends(route), [
    'clusterIP 10.96.0.1:80',
    'externalIP 198.51.100.1:80',
    'loadBalancer 192.168.0.1:80',
  ]);
});

test('session affinity is passed on in seconds', () => {
  assert.equal(onlyRoute(service({ affinitySeconds: 600 })).affinitySeconds, 600);
  assert.equal(onlyRoute(service()).affinitySeconds, undefined);
});

interface RangeCase {
  readonly name: string;
  readonly ranges: string;
  readonly vips?: string;
  readonly allowed: string | undefined;
}

const RANGES: readonly RangeCase[] = [
  { name: 'one range', ranges: '203.0.113.0/24', allowed: '203.0.113.0/24' },
  {
    name: 'no balancer address to protect',
    ranges: '203.0.113.0/24',
    vips: '',
    allowed: undefined,
  },
  { name: 'other family only: everybody', ranges: 'fd00::/8', allowed: undefined },
  { name: '/0 among others: everybody', ranges: '203.0.113.0/24 0.0.0.0/0', allowed: undefined },
  {
    name: '/0 of the other family changes nothing',
    ranges: '203.0.113.0/24 ::/0',
    allowed: '203.0.113.0/24',
  },
  {
    name: 'ranges are distinct, sorted and do not overlap',
    ranges: '203.0.113.0/24 10.1.0.0/16 9.0.0.0/8 10.0.0.0/8 203.0.113.0/24 203.0.113.128/25',
    allowed: '9.0.0.0/8 10.0.0.0/8 203.0.113.0/24',
  },
  {
    name: 'a range that covers the node lets the balancer addresses in',
    ranges: '203.0.113.0/24 192.168.0.0/16',
    vips: '198.51.100.7 198.51.100.8',
    allowed: '192.168.0.0/16 198.51.100.7/32 198.51.100.8/32 203.0.113.0/24',
  },
  {
    name: 'a range that covers the node and the balancer address needs nothing more',
    ranges: '192.0.0.0/4',
    allowed: '192.0.0.0/4',
  },
];

for (const { name, ranges, vips = '198.51.100.7', allowed } of RANGES) {
  test(`source ranges: ${name}`, () => {
    const { allowedSources } = onlyRoute(
      service({
        type: 'LoadBalancer',
        loadBalancerIPs: vips === '' ? [] : ips(vips),
        loadBalancerSourceRanges: ranges.split(' ').map(cidr),
      }),
    );
    assert.equal(allowedSources?.map(formatCidr).join(' '), allowed);
  });
}

test('source ranges in IPv6 let a balancer address in as /128', () => {
  const { allowedSources } = onlyRoute(
    service({
      type: 'LoadBalancer',
      clusterIPs: ips('fd00:96::1'),
      ipFamilies: ['IPv6'],
      loadBalancerIPs: ips('2001:db8::7'),
      loadBalancerSourceRanges: [cidr('fd01::/16')],
    }),
  );
  assert.deepEqual(allowedSources?.map(formatCidr), ['2001:db8::7/128', 'fd01::/16']);
});

test('a node address of the other family, or none, lets no balancer address in', () => {
  const ranged = service({
    type: 'LoadBalancer',
    loadBalancerIPs: ips('198.51.100.7'),
    loadBalancerSourceRanges: [cidr('192.168.0.0/16')],
  });
  for (const primaryAddresses of [[], ips('fd01::1')]) {
    const { allowedSources } = onlyRoute(ranged, [], view({ primaryAddresses }));
    assert.deepEqual(allowedSources?.map(formatCidr), ['192.168.0.0/16']);
  }
});

const CHECKED: Partial<Service> = {
  type: 'LoadBalancer',
  externalTrafficPolicy: 'Local',
  healthCheckNodePort: 32_000,
  ports: [port({ name: 'a' }), port({ name: 'b', port: 81 })],
};
const HERE = { nodeName: 'here' };

test('the health check counts distinct ready addresses on this node', () => {
  const ports = [
    { name: 'a', protocol: 'TCP', port: 8080 },
    { name: 'b', protocol: 'TCP', port: 8081 },
  ] as const;
  const { healthCheck } = select(
    service(CHECKED),
    [
      slice(
        [
          endpoint('10.1.0.1', HERE),
          endpoint('10.1.0.2'),
          endpoint('10.1.0.3', { ...HERE, ready: false }),
          endpoint('10.1.0.4', { ...HERE, ready: false, terminating: true }),
          endpoint('10.1.0.5', { nodeName: undefined }),
        ],
        { ports },
      ),
      slice([endpoint('10.1.0.6', HERE), endpoint('10.1.0.1', HERE)], { name: 'web-2', ports }),
    ],
    view(),
  );
  assert.deepEqual(healthCheck, { port: 32_000, localEndpoints: { IPv4: 2 } });
});

test('the health check counts each family for itself', () => {
  const ports = [{ name: 'a', protocol: 'TCP', port: 8080 }] as const;
  const { healthCheck } = select(
    service({ ...CHECKED, ...DUAL_STACK }),
    [
      slice([endpoint('10.1.0.1', HERE)], { ports }),
      slice([endpoint('fd00:1::1', HERE), endpoint('fd00:1::2', HERE)], {
        name: 'web-2',
        family: 'IPv6',
        ports,
      }),
    ],
    view(),
  );
  assert.deepEqual(healthCheck, { port: 32_000, localEndpoints: { IPv4: 1, IPv6: 2 } });
});

test('the health check is there, with 0, when nothing is local', () => {
  const { healthCheck } = select(service(CHECKED), [slice([endpoint('10.1.0.1')])], view());
  assert.deepEqual(healthCheck, { port: 32_000, localEndpoints: { IPv4: 0 } });
});

const UNCHECKED: readonly (readonly [name: string, fields: Partial<Service>])[] = [
  ['a NodePort Service', { type: 'NodePort' }],
  ['external policy Cluster', { externalTrafficPolicy: 'Cluster' }],
  ['a Service that is not ours', { foreignProxy: true }],
];

for (const [name, fields] of UNCHECKED) {
  test(`no health check for ${name}`, () => {
    const { healthCheck, problems } = select(service({ ...CHECKED, ...fields }), [], view());
    assert.equal(healthCheck, undefined);
    assert.deepEqual(problems, []);
  });
}

test('a health check without a port is reported', () => {
  const { healthCheck, problems } = select(
    service({ ...CHECKED, healthCheckNodePort: 0 }),
    [],
    view(),
  );
  assert.equal(healthCheck, undefined);
  assert.deepEqual(problems, [
    'externalTrafficPolicy is Local, but healthCheckNodePort is not set',
  ]);
});

test('two ports with the same node port are both selected; the route table decides', () => {
  const ports = [
    port({ name: 'a', nodePort: 30_080 }),
    port({ name: 'b', port: 81, nodePort: 30_080 }),
  ];
  const { routes } = select(service({ type: 'NodePort', ports }), [], view());
  const nodePort = { kind: 'nodePort', address: ip('192.168.0.1'), port: 30_080 };
  for (const route of routes) assert.deepEqual(route.frontends.at(-1), nodePort);
});
