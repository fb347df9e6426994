/** A node with what a real kube-proxy 1.36.2 left (test/fixtures/kube-proxy-1.36), between rules of others. */
import { readFileSync } from 'node:fs';
import type { Lab } from '../../lab/lab.ts';
import { recorded } from '../cleanup/recorded.ts';
import { SwitchNode } from './switch-node.ts';
import type { Way } from './traffic.ts';

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
/** To Services that these endpoints serve. */
export const WAYS: readonly Way[] = [
  ['client', '172.30.0.41', 80],
  ['client', '192.168.99.22', 80],
  ['client', 'fd00:10:96::41', 80],
  ['pod-a', '172.30.0.42', 80],
  ['node', '172.30.0.41', 80],
];

/** Rules of others, loaded before those of kube-proxy. */
const FOREIGN = `*filter
:TEAM - [0:0]
-A FORWARD -j TEAM
COMMIT
*nat
-A POSTROUTING -o eth9 -j MASQUERADE
COMMIT
`;
/** And after them: behind, and in front. */
const MORE = `*filter
-A FORWARD -i eth9 -j DROP
COMMIT
*nat
-I PREROUTING -i eth9 -j ACCEPT
-A PREROUTING -i eth8 -j ACCEPT
COMMIT
`;

const TOOLS = ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy'] as const;
const EMPTY = /^(?:#|:[A-Z]+ [A-Z]|\*|COMMIT|table ip6? (?:nat|filter|mangle|raw)$|$)/;
const SHARED = /KUBE-FIREWALL/;
const OURS = /SWY-|^table ip6? switchyard$/;

/** What is loaded as kube-proxy's. */
export const LEFT = {
  'iptables mode, iptables-nft': ['iptables-nft', 'ip6tables-nft'],
  'iptables mode, iptables-legacy': ['iptables-legacy', 'ip6tables-legacy'],
  'nftables mode': [],
} as const;

/** Gives the peer the addresses of the recorded endpoints, and answers there. */
export async function serveRecorded(lab: Lab): Promise<void> {
  for (const address of ENDPOINTS) {
    const isIPv4 = address.includes('.');
    lab.run('peer', 'ip', ['addr', 'add', `${address}/${isIPv4 ? 32 : 128}`, 'dev', 'lo']);
    const via = isIPv4 ? '10.1.0.2' : 'fd00:1::2';
    lab.run('node', 'ip', [...(isIPv4 ? [] : ['-6']), 'route', 'add', address, 'via', via]);
  }
  const listen = { server: 'kube', protocol: 'TCP', addresses: ENDPOINTS, ports: [8080] } as const;
  await lab.host('peer').call('listen', listen);
}

/** Such a node. Its agent is not started; when it is disposed of, no rules are left. */
export class RecordedNode extends SwitchNode {
  /** @param tools - What kube-proxy's rules are loaded with; none: its nftables mode. */
  constructor(lab: Lab, tools: readonly string[]) {
    super(lab);
    this.write('services', services.map(asService));
    this.writeSlices(() => true);
    for (const tool of ['iptables-nft', 'iptables-legacy']) this.shell(`${tool}-restore`, FOREIGN);
    for (const tool of tools) {
      const rules = recorded(`${tool.replace(/-.*/, '')}-save.txt`);
      this.shell(`${tool}-restore --noflush`, withoutCounters(rules));
    }
    if (tools.length === 0) {
      for (const family of ['ip', 'ip6'])
        this.shell('nft -f -', recorded(`nft-list-${family}.txt`));
    }
    for (const tool of ['iptables-nft', 'iptables-legacy']) {
      this.shell(`${tool}-restore --noflush`, MORE);
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    for (const family of ['ip', 'ip6']) {
      this.shell(`nft delete table ${family} kube-proxy 2>/dev/null || true`);
    }
    for (const tool of TOOLS) {
      for (const table of ['nat', 'filter', 'mangle']) {
        this.shell(`${tool} -t ${table} -F; ${tool} -t ${table} -X`);
      }
    }
  }

  /** Writes the EndpointSlices whose text passes. */
  writeSlices(passes: (text: string) => boolean): void {
    const slices = endpointslices.filter((object) => passes(JSON.stringify(object)));
    this.write('slices', slices.map(asSlice));
  }

  /**
   * Everything but ours, and what the kubelet makes too (docs/cleanup.md), without counters and empty tables. Rules
   * are in the order in which packets meet them.
   */
  rules(): readonly string[] {
    const commands = [...TOOLS.map((tool) => `${tool}-save`), 'nft list tables'];
    const lines = commands.flatMap((command) =>
      this.shell(`${command} 2>/dev/null || true`).split('\n'),
    );
    const table = ['ip', 'ip6'].map((family) => {
      return this.shell(`nft -s list table ${family} kube-proxy 2>/dev/null || true`);
    });
    return [
      ...lines
        .filter((line) => !SHARED.test(line) && !OURS.test(line) && !EMPTY.test(line))
        .map((line) => line.replace(/ \[\d+:\d+\]$/, '')),
      ...table.filter((text) => text !== '').map(withoutClients),
    ];
  }
}

/** Clients with affinity come and go. */
function withoutClients(table: string): string {
  return table.replaceAll(/(?<=set affinity-[^}]*)\t\telements = \{[^}]*\}\n/g, '');
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
