/** The doctor on a real kernel: faults planted by the real tools into a namespace that was fine before. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Fields } from '../../../src/core/decode/fields.ts';
import { captureMachine } from '../../../src/tools/doctor/capture-machine.ts';
import { type Diagnosis, diagnose } from '../../../src/tools/doctor/diagnose.ts';
import { known, unknown } from '../../../src/tools/doctor/facts/facts.ts';
import { redactObject } from '../../../src/tools/doctor/facts/cluster.ts';
import { openMachine } from '../../../src/tools/doctor/machine.ts';
import { readFacts } from '../../../src/tools/doctor/read-facts.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { loadIptablesMode, loadNftablesMode, recorded } from '../cleanup/recorded.ts';

const CLI = join(import.meta.dirname, '../../../src/cli/main.ts');

function sh(script: string, input = ''): void {
  execFileSync('sh', ['-ec', script], { input, stdio: ['pipe', 'ignore', 'pipe'] });
}

async function examine(objects: readonly Fields[] = []): Promise<Diagnosis> {
  const kept = objects.map(redactObject).filter((object) => object !== undefined);
  const given = kept.length === 0 ? unknown('none were given') : known(kept);
  return diagnose(readFacts(await captureMachine(openMachine(), given)));
}

async function findings(objects: readonly Fields[] = []): Promise<readonly string[]> {
  const diagnosis = await examine(objects);
  return diagnosis.findings.map(({ id }) => id).toSorted();
}

/** Starts the stand-in, under the name of kube-proxy, until it is disposed of. */
async function startProxy(mode: string, args: readonly string[]): Promise<AsyncDisposable> {
  const script = fileURLToPath(new URL('stand-in.ts', import.meta.url));
  const child = spawn(process.execPath, [script, mode, ...args], {
    argv0: 'kube-proxy',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What a shell plants and removes again, and who must tell. */
interface Fault {
  readonly rules: readonly string[];
  readonly plant: string | (() => void);
  readonly remove: string;
}

const SETTINGS: readonly Fault[] = [
  {
    rules: ['ip-forward-off'],
    plant: 'sysctl -w net.ipv4.ip_forward=0',
    remove: 'sysctl -w net.ipv4.ip_forward=1',
  },
  {
    rules: ['node-ports-ephemeral'],
    plant: 'sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
    remove: 'sysctl -w net.ipv4.ip_local_port_range="32768 60999"',
  },
  {
    rules: ['route-localnet-open'],
    plant: 'sysctl -w net.ipv4.conf.all.route_localnet=1',
    remove: 'sysctl -w net.ipv4.conf.all.route_localnet=0',
  },
  {
    rules: ['mtu-overlay'],
    plant:
      'ip link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.11; ip link set vx0 mtu 1500 up',
    remove: 'ip link del vx0',
  },
  {
    rules: ['both-iptables-variants'],
    plant: 'iptables-nft -A INPUT -i lo -j ACCEPT; iptables-legacy -A INPUT -i lo -j ACCEPT',
    remove: 'iptables-nft -F; iptables-legacy -F',
  },
  {
    rules: ['leftover-switchyard'],
    plant: 'nft add table ip6 switchyard; ip6tables-nft -N SWY-IPVS',
    remove: 'nft flush ruleset',
  },
  {
    rules: ['rules-of-two-modes'],
    plant: () => {
      loadIptablesMode('nft');
      loadNftablesMode();
    },
    remove: 'nft flush ruleset',
  },
];

/** With kube-proxy in nftables mode. */
const LEFTOVERS: readonly Fault[] = [
  {
    rules: ['leftover-iptables'],
    plant: () => {
      loadIptablesMode('nft');
    },
    remove: 'nft flush ruleset',
  },
  {
    rules: ['leftover-iptables'],
    plant: () => {
      loadIptablesMode('legacy');
    },
    remove:
      'for tool in iptables ip6tables; do for table in nat filter mangle; do $tool-legacy -t $table -F; $tool-legacy -t $table -X; done; done',
  },
  {
    rules: ['forward-policy-drop'],
    plant:
      'nft add table inet fw; nft "add chain inet fw forward { type filter hook forward priority 10; policy drop; }"',
    remove: 'nft flush ruleset',
  },
  {
    rules: ['forward-policy-drop'],
    plant: 'iptables-nft -P FORWARD DROP',
    remove: 'nft flush ruleset',
  },
  {
    rules: ['leftover-ipvs'],
    plant: 'ip link add kube-ipvs0 type bridge; ip addr add 10.96.0.1/32 dev kube-ipvs0',
    remove: 'ip link del kube-ipvs0',
  },
  {
    rules: ['leftover-ipsets'],
    plant: () => {
      sh('ipset restore', recorded('ipvs-ipset.txt'));
    },
    remove: 'ipset destroy',
  },
];

/** Plants one fault after the other, and looks before and after it is removed. */
async function plantAll(faults: readonly Fault[]): Promise<void> {
  for (const { rules, plant, remove } of faults) {
    if (typeof plant === 'string') sh(plant);
    else plant();
    assert.deepEqual(await findings(), rules, String(plant));
    sh(remove);
    assert.deepEqual(await findings(), [], `after ${remove}`);
  }
}

/** Runs the command. */
function doctor(...args: readonly string[]): {
  readonly status: number | null;
  readonly out: string;
} {
  const { status, stdout } = spawnSync(process.execPath, [CLI, 'doctor', ...args], {
    encoding: 'utf8',
  });
  return { status, out: stdout };
}

/** In a user namespace one may not change rules of iptables-legacy. */
const skip = readFileSync('/proc/self/uid_map', 'utf8').includes('4294967295')
  ? false
  : 'it needs root: run the tests as root';

inNamespace(import.meta.filename, () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-doctor-'));

  before(() => {
    if (skip !== false) return;
    // A new namespace takes over what the machine has.
    sh(`sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=0
      ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up
      ip addr add 10.0.0.11/24 dev eth0; ip route add default via 10.0.0.1`);
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  test('a node that is fine has no findings', { skip }, async () => {
    assert.deepEqual(await findings(), []);
  });

  test(
    'settings, links and rules that the real tools made are found, and gone when they are',
    { skip },
    async () => {
      await plantAll(SETTINGS);
    },
  );

  test(
    'leftovers of the other modes are told by the mode that kube-proxy answers',
    { skip },
    async () => {
      const config = join(folder, 'config.conf');
      writeFileSync(
        config,
        'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n' +
          'mode: nftables\nclusterCIDR: 10.244.0.0/16\nconntrack: {maxPerCore: 0}\n',
      );
      await using _proxy = await startProxy('nftables', [`--config=${config}`]);
      assert.deepEqual(await findings(), []);
      await plantAll(LEFTOVERS);
      writeFileSync(config, readFileSync(config, 'utf8').replace('nftables', 'iptables'));
      assert.deepEqual(await findings(), ['config-mode-differs']);
      await using _second = await startProxy('', ['--proxy-mode=iptables']);
      assert.deepEqual(await findings(), ['config-mode-differs', 'two-proxies']);
    },
  );

  test('ports that other programs have are found, with the program', { skip }, async () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'shop', name: 'web' },
      spec: { clusterIP: '10.96.0.10', type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] },
    };
    const servers = await Promise.all(
      [30_080, 10_256].map(async (port) => {
        const server = createServer();
        await once(server.listen(port), 'listening');
        return server;
      }),
    );
    try {
      const diagnosis = await examine([service]);
      const seen = new Map(diagnosis.findings.map((one) => [one.id, one.seen.join('\n')]));
      assert.deepEqual([...seen.keys()], ['health-port-taken', 'node-port-taken']);
      for (const line of seen.values()) assert.match(line, new RegExp(`pid ${process.pid}`));
    } finally {
      for (const server of servers) server.close();
    }
  });

  test(
    'the command captures, tells the same from the capture, and says by its exit code',
    { skip },
    () => {
      assert.equal(doctor().status, 0);
      sh('sysctl -w net.ipv4.ip_forward=0; nft add table ip switchyard');
      try {
        const capture = join(folder, 'capture');
        const live = doctor('--capture', capture, '-o', 'json');
        assert.equal(live.status, 1);
        const again = doctor('--from', capture, '-o', 'json');
        assert.equal(again.status, 1);
        const document: unknown = JSON.parse(live.out);
        assert.deepEqual(JSON.parse(again.out), document);
        assert.match(live.out, /"ip-forward-off"[^]*"leftover-switchyard"/);
        assert.equal(doctor('--capture', capture).status, 2, 'a folder that is not empty');
      } finally {
        sh('sysctl -w net.ipv4.ip_forward=1; nft flush ruleset');
      }
    },
  );
});
