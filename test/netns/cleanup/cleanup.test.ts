/** `switchyard cleanup` against the recorded rules of a real kube-proxy, between rules of others. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { Family } from '../../../src/core/ip.ts';
import type { TableBatch } from '../../../src/kernel/iptables/iptables.ts';
import { findLeftovers } from '../../../src/tools/cleanup/find.ts';
import { removeLeftovers } from '../../../src/tools/cleanup/remove.ts';
import { type CleanupMachine, openRuleTools } from '../../../src/tools/cleanup/machine.ts';
import { findKubeProxy } from '../../../src/tools/switch/take-over.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { run } from '../../unit/cli/run.ts';
import { flushRuleset, listRuleset, loadRuleset, shell } from '../kernel/helpers.ts';
import { SETTINGS, route } from '../nftables/routes.ts';
import { type Variant, loadIptablesMode, loadNftablesMode } from './recorded.ts';

const VARIANTS: readonly Variant[] = ['nft', 'legacy'];
const TOOLS = ['iptables', 'ip6tables'] as const;

/** Rules of others that are there before kube-proxy's. */
const BEFORE = `*filter
:TEAM-FIREWALL - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -m comment --comment "not -j KUBE-SERVICES" -j TEAM-FIREWALL
-A FORWARD -i eth9 -j DROP
-A TEAM-FIREWALL -p udp -j RETURN
COMMIT
*nat
-A PREROUTING -i eth9 -j ACCEPT
-A POSTROUTING -o eth9 -j MASQUERADE
COMMIT
*mangle
-A OUTPUT -p icmp -j ACCEPT
COMMIT
`;
/** What of kube-proxy's is the kubelet's as well. */
const KUBELET = `*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
COMMIT
`;
const KUBELET_RULE = `*filter
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
COMMIT
`;
/** Rules of others behind kube-proxy's. */
const AFTER = `*filter
:KUBE-ROUTER-INPUT - [0:0]
-A INPUT -m comment --comment "kube-router netpol" -j KUBE-ROUTER-INPUT
-A FORWARD -o eth9 -j DROP
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
-A OUTPUT -p sctp -j ACCEPT
COMMIT
`;
const FOREIGN_TABLES = `table inet kube-proxy {
  chain input { type filter hook input priority 0; policy accept; tcp dport 22 accept; }
}
table ip other {
  chain pre { type nat hook prerouting priority -90; policy accept; }
}
`;

function load(variant: Variant, rules: string): void {
  for (const tool of TOOLS) shell(`${tool}-${variant}-restore --noflush`, rules);
}

/** Rules of both families, without the time and the counters. */
function dump(variant: Variant): string {
  return TOOLS.map((tool) => shell(`${tool}-${variant}-save 2>/dev/null`))
    .join('')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/ \[\d+:\d+\]$/gm, '')
    .split(/(?<=^COMMIT\n)/m)
    .toSorted()
    .join('');
}

function clear(variant: Variant): void {
  for (const tool of TOOLS) {
    for (const table of ['filter', 'nat', 'mangle']) {
      shell(`${tool}-${variant} -t ${table} -F; ${tool}-${variant} -t ${table} -X`);
    }
  }
}

/** Runs a command that ends with a code, and returns what it printed. */
async function switchyard(code: number, ...args: readonly string[]): Promise<string> {
  const outcome = await run(...args);
  assert.equal(outcome.stderr, '');
  assert.equal(outcome.code, code, outcome.stdout);
  return outcome.stdout;
}

async function cleanUp(...flags: readonly string[]): Promise<string> {
  return switchyard(0, 'cleanup', '--owner', 'kube-proxy', ...flags);
}

async function dryRun(...flags: readonly string[]): Promise<string> {
  return switchyard(1, 'cleanup', '--owner', 'kube-proxy', '--dry-run', ...flags);
}

inNamespace(import.meta.filename, () => {
  afterEach(() => {
    clear('legacy');
    flushRuleset();
  });

  for (const variant of VARIANTS) {
    describe(`iptables mode in the ${variant} variant`, () => {
      test('goes, and the rules of others stay as they are and in their order', async () => {
        load(variant, BEFORE + KUBELET + AFTER);
        shell(`iptables-${variant}-restore --noflush`, KUBELET_RULE);
        const expected = dump(variant);
        clear(variant);

        load(variant, BEFORE);
        loadIptablesMode(variant);
        load(variant, AFTER);
        const full = dump(variant);
        const listed = await dryRun();
        assert.equal(dump(variant), full, 'a dry run removes nothing');
        for (const [name] of full.matchAll(/(?<=^:)KUBE-(?:SVC|SVL|SEP|EXT|FW)-\w+/gm)) {
          assert.ok(listed.includes(`  chain ${name} (`), name);
        }
        assert.doesNotMatch(listed, /TEAM|eth9|chain KUBE-ROUTER/);
        assert.match(listed, /^These stay:\n(?: {2}.*\n)*? {2}chain KUBE-FIREWALL/m);

        assert.match(await cleanUp(), /^Removed all iptables rules of kube-proxy\.$/m);
        assert.equal(dump(variant), expected);
        assert.match(
          await switchyard(0, 'cleanup', '--owner', 'kube-proxy', '--dry-run'),
          /no ipvs/,
        );
      });

      test('leaves the chains that others use to masquerade', async () => {
        loadIptablesMode(variant);
        const user = '-A CNI-HOSTPORT -i eth9 -j KUBE-MARK-MASQ';
        const bystander = '-A PREROUTING -i eth9 -j KUBE-SERVICES';
        load(variant, `*nat\n:CNI-HOSTPORT - [0:0]\n${user}\n${bystander}\nCOMMIT\n`);

        const said = await cleanUp();
        assert.ok(said.includes(`A rule of others needs it: ${user}`), said);
        const left = dump(variant);
        assert.match(left, /^-A KUBE-MARK-MASQ -j MARK/m);
        assert.match(left, /^-A POSTROUTING .*-j KUBE-POSTROUTING$/m);
        assert.match(left, /^-A KUBE-POSTROUTING .*-j MASQUERADE/m);
        assert.ok(left.includes(user));
        assert.ok(left.includes(bystander));
        assert.match(left, /^:KUBE-SERVICES -/m);
        assert.doesNotMatch(left, /^-A KUBE-SERVICES|KUBE-SVC|KUBE-SEP|KUBE-FORWARD/m);
      });

      test('goes without ending the connections that it translated', async () => {
        shell(
          'ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up',
        );
        shell('ip addr add 10.180.9.9/24 dev eth0; ip route add 172.30.0.0/16 dev eth0');
        // The endpoints of ns1/plain.
        for (const last of [1, 2, 3]) shell(`ip addr replace 10.180.0.${last}/32 dev lo`);
        await using echo = await startEcho(8080);
        loadIptablesMode(variant);
        const client = connect(80, '172.30.0.41');
        try {
          await once(client, 'connect');
          await exchange(client, 'before');
          assert.equal(echo.connections(), 1);
          await cleanUp();
          await exchange(client, 'after');
        } finally {
          client.destroy();
          shell('ip link del eth0');
        }
      });
    });
  }

  describe('nftables mode', () => {
    test('goes, and tables of others stay', async () => {
      loadRuleset(FOREIGN_TABLES);
      const expected = listRuleset();
      loadNftablesMode();
      const full = listRuleset();
      const listed = await dryRun('-o', 'json');
      assert.equal(listRuleset(), full, 'a dry run removes nothing');
      const { removed, objects } = JSON.parse(listed) as {
        readonly removed: boolean;
        readonly objects: readonly { readonly kind: string; readonly name: string }[];
      };
      assert.equal(removed, false);
      const lines = full.split('\n').filter((line) => /^\t(?:set|map|chain) /.test(line));
      const foreign = expected.split('\n').filter((line) => line.startsWith('\tchain '));
      assert.equal(objects.length, 2 + lines.length - foreign.length);
      await cleanUp();
      assert.equal(listRuleset(), expected);
    });

    test('goes alone when it is asked for alone', async () => {
      loadIptablesMode('nft');
      const expected = dump('nft');
      loadNftablesMode();
      const said = await cleanUp('--mode', 'nftables');
      assert.doesNotMatch(said, /iptables/);
      assert.equal(dump('nft'), expected);
      assert.doesNotMatch(shell('nft list tables'), /kube-proxy/);
    });
  });

  test('all modes and variants go at once', async () => {
    for (const variant of VARIANTS) loadIptablesMode(variant);
    loadNftablesMode();
    await cleanUp();
    for (const variant of VARIANTS) {
      const chains = [...dump(variant).matchAll(/^:(KUBE-\S+)/gm)].map(([, name]) => name);
      assert.deepEqual(chains, ['KUBE-FIREWALL', 'KUBE-FIREWALL']);
    }
    assert.doesNotMatch(shell('nft list tables'), /kube-proxy/);
  });

  test('a variant without its tools is told as unseen, where the kernel has tables of it', async () => {
    const io = openKernelIo();
    const tools = openRuleTools(io);
    try {
      const machine = (variant: Variant): CleanupMachine => ({
        io,
        iptables: tools.filter((each) => each.tools.variant === variant),
        planes: [],
      });
      const unseen = async (variant: Variant): Promise<readonly string[]> =>
        (await findLeftovers('kube-proxy', machine(variant))).unseen;
      loadIptablesMode('legacy');
      assert.match(
        (await unseen('nft')).join(),
        /^Rules of iptables-legacy: .*Install iptables-legacy/,
      );
      await assert.rejects(findKubeProxy(machine('nft')), { code: 'SY_SWITCH_REFUSED' });
      assert.deepEqual(await unseen('legacy'), []);
      loadIptablesMode('nft');
      assert.match(
        (await unseen('legacy')).join(),
        /^Rules of iptables-nft: .*Install iptables-nft/,
      );
    } finally {
      for (const tool of tools) tool.close();
    }
  });

  test('the rules by which connections come go first, and the rest a moment later', async () => {
    const io = openKernelIo();
    for (const variant of VARIANTS) loadIptablesMode(variant);
    const tools = openRuleTools(io);
    try {
      const written: string[] = [];
      const iptables = tools.map((tool) => ({
        ...tool,
        restore: async (family: Family, batches: readonly TableBatch[]): Promise<void> => {
          const early = batches.every(({ lines }) =>
            lines.every((line) => /^-D (?:PREROUTING|INPUT|FORWARD|OUTPUT) /.test(line)),
          );
          written.push(early ? 'ways in' : 'rest');
          await tool.restore(family, batches);
        },
      }));
      const machine = { io, iptables, planes: [] };
      await removeLeftovers(await findLeftovers('kube-proxy', machine), machine);
      assert.deepEqual(written, [
        ...Array.from({ length: 4 }, () => 'ways in'),
        ...Array.from({ length: 4 }, () => 'rest'),
      ]);
    } finally {
      for (const tool of tools) tool.close();
    }
    for (const variant of VARIANTS) assert.doesNotMatch(dump(variant), /KUBE-S/);
  });

  test('while kube-proxy runs it is refused, and nothing is removed', async () => {
    loadIptablesMode('nft');
    const expected = dump('nft');
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-'));
    const program = join(folder, 'kube-proxy');
    symlinkSync('/usr/bin/sleep', program);
    const child = spawn(program, ['60'], { stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      const { code, stdout, stderr } = await run('cleanup', '--owner', 'kube-proxy');
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(
        stderr,
        new RegExp(`^switchyard: SY_OWNER_RUNNING: [^\\n]*process ${child.pid} `),
      );
      assert.equal(dump('nft'), expected);
      assert.match(await dryRun(), /KUBE-SERVICES/);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
      rmSync(folder, { recursive: true });
    }
    await cleanUp();
    assert.doesNotMatch(dump('nft'), /KUBE-SVC/);
  });

  describe('What Switchyard left', () => {
    test('is listed and removed, and kube-proxy’s stays', async () => {
      loadNftablesMode();
      const expected = listRuleset();
      await openOurs();
      const listed = await switchyard(1, 'cleanup', '--dry-run');
      assert.match(listed, /^nftables mode, nf_tables ip:\n {2}table switchyard$/m);
      assert.match(listed, /^ {2}set service-ips/m);
      assert.doesNotMatch(listed, /kube-proxy/);
      assert.equal(
        await switchyard(0, 'cleanup', '--mode', 'ipvs'),
        'There were no ipvs rules of switchyard.\n',
      );
      assert.match(await switchyard(0, 'cleanup'), /^Removed all nftables rules of switchyard\.$/m);
      assert.equal(listRuleset(), expected);
    });

    test('goes together with kube-proxy’s by proxy --cleanup', async () => {
      loadNftablesMode();
      loadIptablesMode('nft');
      await openOurs();
      const said = await switchyard(0, 'proxy', '--cleanup');
      assert.match(said, /^Removed all nftables rules of switchyard\.$/m);
      assert.match(said, /^Removed all nftables rules of kube-proxy\.$/m);
      assert.match(said, /^Removed all iptables rules of kube-proxy\.$/m);
      assert.doesNotMatch(shell('nft list tables'), /kube-proxy|switchyard/);
      assert.doesNotMatch(dump('nft'), /KUBE-SVC/);
    });
  });

  test('what does not exist is a wrong command line', async () => {
    for (const args of [
      ['--owner', 'cilium'],
      ['--mode', 'userspace'],
      ['-o', 'yaml'],
    ]) {
      assert.equal((await run('cleanup', ...args)).code, 2);
    }
  });
});

/** Programs one Service in our nftables mode. */
async function openOurs(): Promise<void> {
  const plane = openNftablesPlane(openKernelIo());
  await plane.open(SETTINGS, [route(0, 3)]);
  plane.close();
}

interface Echo extends AsyncDisposable {
  readonly connections: () => number;
}

/** A server on every address of the namespace that sends back what it gets. */
async function startEcho(port: number): Promise<Echo> {
  let count = 0;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    count++;
    sockets.push(socket);
    socket.pipe(socket);
  });
  server.listen(port, '0.0.0.0');
  await once(server, 'listening');
  return {
    connections: () => count,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends a text and waits until it is back. */
async function exchange(client: Socket, text: string): Promise<void> {
  client.write(text);
  let back = '';
  for (const signal = AbortSignal.timeout(10_000); back.length < text.length;) {
    const [chunk] = (await once(client, 'data', { signal })) as [Buffer];
    back += chunk.toString();
  }
  assert.equal(back, text);
}
