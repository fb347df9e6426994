import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Address, parseAddress } from '../../../../src/core/ip.ts';
import type { Protocol } from '../../../../src/core/model.ts';
import type { ElementInfo } from '../../../../src/kernel/ipset/sets.ts';
import type { VirtualName } from '../../../../src/kernel/ipvs/servers.ts';
import {
  type IpvsFacts,
  type IpvsPlan,
  type KubeSet,
  isKubeProxySet,
  planIpvs,
} from '../../../../src/tools/cleanup/ipvs-plan.ts';

const NOTHING: IpvsFacts = {
  sets: [],
  setUsers: new Map(),
  link: undefined,
  servers: [],
  nodeAddresses: new Set(),
  ourServers: new Set(),
};

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function set(name: string, type: string, ...elements: readonly ElementInfo[]): KubeSet {
  const info = {
    name,
    type,
    family: 'IPv4',
    revision: 0,
    timeout: undefined,
    counters: false,
    comments: false,
    marks: false,
    maxElements: 65_536,
    hashSize: 1024,
    elementCount: elements.length,
    references: 0,
    memory: 0,
  } as const;
  return { info, elements };
}

function server(protocol: Protocol, ip: string, port: number): VirtualName {
  return { protocol, address: address(ip), port };
}

function frontend(protocol: Protocol, ip: string, port: number): ElementInfo {
  return { protocol, ip: address(ip), port };
}

function names({ objects }: IpvsPlan, kind: string): readonly string[] {
  return objects.filter((object) => object.kind === kind).map(({ name }) => name);
}

function keptNames({ kept }: IpvsPlan): readonly string[] {
  return kept.map(({ name }) => name);
}

describe('A virtual server', () => {
  test('is kube-proxy’s when a set names its address, protocol and port', () => {
    const plan = planIpvs({
      ...NOTHING,
      sets: [set('KUBE-CLUSTER-IP', 'hash:ip,port', frontend('TCP', '10.96.0.1', 80))],
      servers: [
        server('TCP', '10.96.0.1', 80),
        server('UDP', '10.96.0.1', 80),
        server('TCP', '10.96.0.1', 81),
        server('TCP', '10.0.0.9', 80),
        { mark: 7, family: 'IPv4' },
      ],
    });
    assert.deepEqual(names(plan, 'virtual server'), ['TCP 10.96.0.1:80']);
    assert.deepEqual(plan.servers, [server('TCP', '10.96.0.1', 80)]);
    assert.equal(plan.kept.length, 4);
  });

  test('is kube-proxy’s when its address is on the link, or should be', () => {
    const plan = planIpvs({
      ...NOTHING,
      sets: [set('KUBE-6-IPVS-IPS', 'hash:ip', { ip: address('fd96::2') })],
      link: { isDummy: true, addresses: [address('10.96.0.3')], isOurs: false },
      servers: [
        server('TCP', '10.96.0.3', 443),
        server('TCP', 'fd96::2', 53),
        server('TCP', 'fd96::3', 53),
      ],
    });
    assert.deepEqual(names(plan, 'virtual server'), ['TCP 10.96.0.3:443', 'TCP [fd96::2]:53']);
    assert.deepEqual(keptNames(plan), ['TCP [fd96::3]:53']);
  });

  test('is kube-proxy’s as a node port on an address of the node, of the right family and protocol', () => {
    const plan = planIpvs({
      ...NOTHING,
      sets: [
        set('KUBE-NODE-PORT-TCP', 'bitmap:port', { port: 30_001 }),
        set('KUBE-6-NODE-PORT-UDP', 'bitmap:port', { port: 30_002 }),
      ],
      nodeAddresses: new Set(['192.0.2.10', '2001:db8::10']),
      servers: [
        server('TCP', '192.0.2.10', 30_001),
        server('UDP', '2001:db8::10', 30_002),
        server('UDP', '192.0.2.10', 30_001),
        server('TCP', '192.0.2.99', 30_001),
        server('UDP', '192.0.2.10', 30_002),
      ],
    });
    assert.deepEqual(names(plan, 'virtual server'), [
      'TCP 192.0.2.10:30001',
      'UDP [2001:db8::10]:30002',
    ]);
    assert.equal(plan.kept.length, 3);
  });

  test('is not kube-proxy’s any more when we serve it', () => {
    const plan = planIpvs({
      ...NOTHING,
      sets: [set('KUBE-CLUSTER-IP', 'hash:ip,port', frontend('TCP', '10.96.0.1', 80))],
      servers: [server('TCP', '10.96.0.1', 80)],
      ourServers: new Set(['TCP 10.96.0.1:80']),
    });
    assert.deepEqual(plan.servers, []);
    assert.deepEqual(plan.kept, []);
  });

  test('of others is not worth a word where kube-proxy left nothing', () => {
    const plan = planIpvs({ ...NOTHING, servers: [server('TCP', '10.0.0.9', 80)] });
    assert.deepEqual([plan.objects, plan.kept], [[], []]);
  });
});

describe('The link', () => {
  const addresses = [address('10.96.0.1'), address('fd96::1')];

  test('goes with its addresses', () => {
    const plan = planIpvs({ ...NOTHING, link: { isDummy: true, addresses, isOurs: false } });
    assert.equal(plan.link, true);
    assert.deepEqual(names(plan, 'address'), addresses);
    assert.deepEqual(names(plan, 'link'), ['kube-ipvs0']);
  });

  test('stays where we use it, without the addresses of kube-proxy', () => {
    const plan = planIpvs({ ...NOTHING, link: { isDummy: true, addresses, isOurs: true } });
    assert.equal(plan.link, false);
    assert.deepEqual(plan.addresses, addresses);
    assert.deepEqual(keptNames(plan), ['kube-ipvs0']);
  });

  test('is somebody else’s when it is no dummy', () => {
    const plan = planIpvs({ ...NOTHING, link: { isDummy: false, addresses, isOurs: false } });
    assert.deepEqual([plan.link, plan.addresses, plan.objects], [false, [], []]);
    assert.deepEqual(keptNames(plan), ['kube-ipvs0']);
  });
});

describe('A set', () => {
  test('is known by its name, cut for IPv6 as kube-proxy cuts it', () => {
    for (const name of [
      'KUBE-CLUSTER-IP',
      'KUBE-6-CLUSTER-IP',
      'KUBE-6-LOAD-BALANCER-SOURCE-CID',
      'KUBE-6-NODE-PORT-LOCAL-SCTP-HAS',
    ]) {
      assert.ok(isKubeProxySet(name), name);
    }
    for (const name of ['KUBE-CLUSTER', 'KUBE-SRC-ABC', 'KUBE-6-LOAD-BALANCER-SOURCE-CIDR']) {
      assert.ok(!isKubeProxySet(name), name);
    }
  });

  test('stays with another type than kube-proxy’s, and where a rule of others needs it', () => {
    const plan = planIpvs({
      ...NOTHING,
      sets: [
        set('KUBE-LOOP-BACK', 'hash:ip'),
        set('KUBE-CLUSTER-IP', 'hash:ip,port'),
        set('KUBE-IPVS-IPS', 'hash:ip'),
      ],
      setUsers: new Map([['KUBE-CLUSTER-IP', '-A INPUT …']]),
    });
    assert.deepEqual(plan.sets, ['KUBE-IPVS-IPS']);
    assert.deepEqual(keptNames(plan), ['KUBE-LOOP-BACK', 'KUBE-CLUSTER-IP']);
  });
});
