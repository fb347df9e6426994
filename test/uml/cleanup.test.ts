/** `switchyard cleanup` against what kube-proxy's ipvs mode leaves, beside IPVS of others. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { openKernelIo } from '../../src/kernel/koffi-io.ts';
import { openIpvsPlane } from '../../src/planes/ipvs/plane.ts';
import type { IpvsOptions } from '../../src/planes/ipvs/options.ts';
import { loadIpvsMode } from '../netns/cleanup/recorded.ts';
import { shell } from '../netns/kernel/helpers.ts';
import { SETTINGS, route } from '../netns/nftables/routes.ts';
import { run } from '../unit/cli/run.ts';
import { withIpvs } from './kernel/helpers.ts';

const OPTIONS: IpvsOptions = {
  scheduler: 'rr',
  strictArp: false,
  tcpMs: 0,
  tcpFinMs: 0,
  udpMs: 0,
  masqueradeBit: 14,
  bindMode: 'route',
  drainMs: 0,
};

/** Foreign: no address of the link, no set; a node port that no set names; a mark; another protocol. */
const FOREIGN_SERVERS = `-A -t 10.0.0.9:80 -s wlc
-A -t 192.0.2.10:25 -s rr
-A -u 192.0.2.10:31001 -s rr
-A -f 7 -s rr
`;
const FOREIGN_RULES = `*filter
-A INPUT -m set --match-set OTHER src -j DROP
COMMIT
`;

/** Everything that others have, as far as their tools tell. */
function others(): string {
  return ['ipvsadm -Sn | sort', 'ipset list -n | sort', 'ip -br addr show']
    .map((command) => shell(command))
    .join('\n');
}

/** Rules of a family, without the time and the counters, but with everything of kube-proxy that stays left out. */
function rules(tool: string): string {
  return shell(`${tool}-legacy-save`)
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/ \[\d+:\d+\]$/gm, '')
    .replaceAll(/^.*KUBE-(?:FIREWALL|KUBELET-CANARY|IPTABLES-HINT)\b.*\n/gm, '');
}

function loadForeign(): void {
  shell('ip link add node0 type dummy; ip link set node0 up');
  shell('ip addr add 192.0.2.10/24 dev node0; ip addr add 2001:db8::10/64 dev node0 nodad');
  shell('ipset create OTHER hash:ip');
  shell('iptables-legacy-restore --noflush', FOREIGN_RULES);
  shell('ipvsadm -R', FOREIGN_SERVERS);
  // Makes the tables that kube-proxy's rules need, empty.
  for (const tool of ['iptables', 'ip6tables']) {
    shell(`${tool}-legacy-restore --noflush`, '*nat\nCOMMIT\n*filter\nCOMMIT\n*mangle\nCOMMIT\n');
  }
}

withIpvs(import.meta.filename, () => {
  beforeEach(loadForeign);
  afterEach(() => {
    for (const tool of ['iptables', 'ip6tables']) {
      for (const table of ['nat', 'filter', 'mangle']) {
        shell(`${tool}-legacy -t ${table} -F; ${tool}-legacy -t ${table} -X`);
      }
    }
    shell('ipvsadm -C; ipset destroy; ip link del node0');
    shell('! ip link show kube-ipvs0 || ip link del kube-ipvs0');
  });

  test('all of it goes, and what others have stays', async () => {
    const expected = others();
    const expectedRules = ['iptables', 'ip6tables'].map((tool) => rules(tool));
    loadIpvsMode();
    const full = others();
    const dry = await run('cleanup', '--owner', 'kube-proxy', '--dry-run');
    assert.equal(dry.code, 1, dry.stderr);
    assert.equal(others(), full, 'a dry run removes nothing');
    for (const listed of [
      'virtual server TCP 172.30.0.41:80',
      'virtual server SCTP 192.0.2.10:31007',
      'virtual server TCP [2001:db8::10]:31008',
      'address fd00:10:96::50',
      'link kube-ipvs0',
      'ipset KUBE-6-LOAD-BALANCER-SOURCE-CID (0 elements)',
      'ipset KUBE-CLUSTER-IP (3 elements)',
      'chain KUBE-IPVS-OUT-FILTER (1 rule)',
    ]) {
      assert.ok(dry.stdout.includes(`\n  ${listed}\n`), `${listed} in ${dry.stdout}`);
    }
    const [, stays = ''] = dry.stdout.split('These stay:\n');
    assert.match(stays, /^ {2}virtual server TCP 10\.0\.0\.9:80 /m);
    assert.equal(stays.match(/^ {2}virtual server /gm)?.length, 4);

    const { code, stdout, stderr } = await run('cleanup', '--owner', 'kube-proxy');
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^Removed all ipvs rules of kube-proxy\.\n.*9 virtual servers, 6 addresses, 1 link, 34 ipsets$/m,
    );
    assert.equal(others(), expected);
    assert.deepEqual(
      ['iptables', 'ip6tables'].map((tool) => rules(tool)),
      expectedRules,
    );
  });

  test('a set that a rule of others matches on stays, and that rule works on', async () => {
    loadIpvsMode();
    const user = '-A FORWARD -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT';
    shell('iptables-legacy-restore --noflush', `*filter\n${user}\nCOMMIT\n`);
    const { code, stdout } = await run('cleanup', '--owner', 'kube-proxy');
    assert.equal(code, 0);
    assert.ok(
      stdout.includes(`ipset KUBE-CLUSTER-IP (ipset). A rule of others matches on it: ${user}`),
      stdout,
    );
    assert.equal(shell('ipset list -n | sort'), 'KUBE-CLUSTER-IP\nOTHER\n');
    assert.ok(rules('iptables').includes(user));
  });

  test('what Switchyard serves in ipvs mode stays, on the link of the same name', async () => {
    const plane = openIpvsPlane(openKernelIo(), OPTIONS);
    try {
      await plane.open(SETTINGS, [route(0, 2)]);
      shell('ip addr add 172.30.0.41/32 dev kube-ipvs0');
      shell(
        'ipset create KUBE-CLUSTER-IP hash:ip,port; ipset add KUBE-CLUSTER-IP 10.96.0.0,tcp:80',
      );
      shell('ipvsadm -A -t 172.30.0.41:80');
      const dry = await run('cleanup', '--owner', 'kube-proxy', '--dry-run', '--mode', 'ipvs');
      assert.match(dry.stdout, /^ {2}link kube-ipvs0 .* Switchyard serves in ipvs mode/m);
      assert.doesNotMatch(dry.stdout, /SWY|swy-|10\.96\.0\.0/);
      assert.equal((await run('cleanup', '--owner', 'kube-proxy')).code, 0);
      assert.deepEqual((await plane.verify()).drift, []);
      assert.match(shell('ipvsadm -Sn'), /^-A -t 10\.96\.0\.0:80 /m);
      assert.doesNotMatch(shell('ipvsadm -Sn; ipset list -n; ip -br addr'), /KUBE|172\.30/);
    } finally {
      plane.close();
    }

    const ours = await run('cleanup', '--dry-run');
    assert.equal(ours.code, 1);
    for (const listed of [
      'virtual server TCP 10.96.0.0:80',
      'route 10.96.0.0',
      'link kube-ipvs0',
    ]) {
      assert.ok(ours.stdout.includes(`\n  ${listed}\n`), `${listed} in ${ours.stdout}`);
    }
    assert.match(ours.stdout, /^ {2}chain SWY-IPVS/m);
    assert.equal((await run('cleanup')).code, 0);
    assert.equal((await run('cleanup', '--dry-run')).code, 0);
    assert.match(shell('ipvsadm -Sn'), /^-A -t 10\.0\.0\.9:80 /m);
    assert.doesNotMatch(shell('ip -br addr; ipset list -n'), /kube-ipvs0|swy-/);
  });
});
