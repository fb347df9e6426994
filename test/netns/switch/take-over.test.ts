/** `switchyard switch` takes the place of a stopped kube-proxy whose rules were recorded, without a failed connection. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Lab, labReason } from '../../lab/lab.ts';
import { recorded } from '../cleanup/recorded.ts';
import { SwitchNode } from './switch-node.ts';
import { Traffic, type Way } from './traffic.ts';

interface Recorded {
  readonly services: readonly object[];
  readonly endpointslices: readonly object[];
}

const FIXTURE = new URL('../../fixtures/kube-proxy-1.36/objects.json', import.meta.url);
const { services, endpointslices } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Recorded;

/** Endpoints of the recorded Services, which the peer is. */
const ENDPOINTS = [
  '10.180.0.1',
  '10.180.0.2',
  '10.180.0.3',
  '10.180.1.1',
  '10.180.1.2',
  'fd00:10:180::1',
  'fd00:10:180::2',
];
const WAYS: readonly Way[] = [
  ['client', '172.30.0.41', 80],
  ['client', '192.168.99.22', 80],
  ['client', 'fd00:10:96::41', 80],
  ['pod-a', '172.30.0.42', 80],
  ['node', '172.30.0.41', 80],
];
const FOREIGN = `*filter
:TEAM - [0:0]
-A FORWARD -j TEAM
COMMIT
*nat
-A POSTROUTING -o eth9 -j MASQUERADE
COMMIT
`;

const TOOLS = ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy'] as const;
const EMPTY = /^(?:#|:[A-Z]+ [A-Z]|\*|COMMIT|table ip6? (?:nat|filter|mangle|raw)$|$)/;

/** What is loaded as kube-proxy's. */
const LEFT = {
  'iptables mode, iptables-nft': ['iptables-nft', 'ip6tables-nft'],
  'iptables mode, iptables-legacy': ['iptables-legacy', 'ip6tables-legacy'],
  'nftables mode': [],
} as const;

describe('switchyard switch takes over from kube-proxy', { skip: labReason() }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.open();
    for (const address of ENDPOINTS) {
      const isIPv4 = address.includes('.');
      lab.run('peer', 'ip', ['addr', 'add', `${address}/${isIPv4 ? 32 : 128}`, 'dev', 'lo']);
      const via = isIPv4 ? '10.1.0.2' : 'fd00:1::2';
      lab.run('node', 'ip', [...(isIPv4 ? [] : ['-6']), 'route', 'add', address, 'via', via]);
    }
    const ports = [8080];
    await lab
      .host('peer')
      .call('listen', { server: 'kube', protocol: 'TCP', addresses: ENDPOINTS, ports });
  });
  after(async () => {
    await lab.close();
  });

  for (const [name, tools] of Object.entries(LEFT)) {
    test(`${name}: no connection fails, and what is left is of others`, async (t) => {
      await using node = new SwitchNode(lab);
      node.write('services', services.map(asService));
      node.write('slices', endpointslices.map(asSlice));
      for (const tool of ['iptables-nft', 'iptables-legacy']) {
        node.shell(`${tool}-restore`, FOREIGN);
      }
      const foreign = dump(node);
      for (const tool of tools) {
        const rules = recorded(`${tool.replace(/-.*/, '')}-save.txt`);
        node.shell(`${tool}-restore --noflush`, withoutCounters(rules));
      }
      if (tools.length === 0) {
        for (const family of ['ip', 'ip6'])
          node.shell('nft -f -', recorded(`nft-list-${family}.txt`));
      }
      const traffic = await Traffic.start(lab, WAYS);
      await node.start('nftables');
      const dry = await node.switch('--to', 'nftables', '--dry-run');
      assert.equal(dry.code, 0, dry.stderr);
      assert.match(dry.stdout, /Would be removed:/);
      const { code, stdout, stderr } = await node.switch('--to', 'nftables');
      assert.deepEqual([code, stderr], [0, ''], stdout);
      assert.equal(await traffic.isAlive(), true);
      const probes = await traffic.end();
      t.diagnostic(`${probes} connections`);
      const ours = /Saved a copy in (\S+);/.exec(stdout)?.[1] ?? '';
      const saved = readdirSync(ours);
      assert.ok(
        saved.includes(tools.length === 0 ? 'nft-ip.txt' : `${tools[0]}.txt`),
        saved.join(' '),
      );
      await node.clear();
      assert.equal(dump(node), foreign);
      for (const tool of TOOLS) {
        for (const table of ['nat', 'filter', 'mangle']) {
          node.shell(`${tool} -t ${table} -F; ${tool} -t ${table} -X`);
        }
      }
    });
  }
});

/** All rules but what the kubelet makes too (docs/cleanup.md), and without counters and empty tables. */
function dump(node: SwitchNode): string {
  const script = TOOLS.map((tool) => `${tool}-save 2>/dev/null`).join('; ');
  return node
    .shell(`${script}; nft list tables`)
    .split('\n')
    .filter((line) => !line.includes('KUBE-FIREWALL') && !EMPTY.test(line))
    .join('\n');
}

/** The objects that these rules count in would have to be made before. */
function withoutCounters(rules: string): string {
  return rules.replaceAll(/ -m nfacct --nfacct-name +\S+/g, '');
}

function asService(object: object): object {
  return { apiVersion: 'v1', kind: 'Service', ...object };
}

function asSlice(object: object): object {
  return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', ...object };
}
