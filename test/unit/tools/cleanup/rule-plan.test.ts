import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseChains } from '../../../../src/tools/cleanup/machine.ts';
import { type RulePlan, type Tables, planRules } from '../../../../src/tools/cleanup/rule-plan.ts';

const fixtures = new URL('../../../fixtures/kube-proxy-1.36/', import.meta.url);
const BOTH = new Set(['iptables', 'ipvs'] as const);

/** Tables from what iptables-save prints. */
function tablesOf(saved: string): Tables {
  const parts = saved.split(/^\*/m).slice(1);
  return new Map(
    parts.map((part) => {
      const [table = '', ...rest] = part.split('\n');
      return [table, parseChains(rest.map((line) => line.replace(/^:(\S+) .*/, '-N $1')))];
    }),
  );
}

function recorded(name: string): string {
  return readFileSync(new URL(name, fixtures), 'utf8');
}

/** Some rules of kube-proxy in the nat table, and other lines after them. */
function nat(...others: readonly string[]): string {
  return [
    '*nat',
    ':PREROUTING ACCEPT',
    ':POSTROUTING ACCEPT',
    ':KUBE-SERVICES -',
    ':KUBE-MARK-MASQ -',
    ':KUBE-POSTROUTING -',
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-MARK-MASQ',
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE',
    ...others,
  ].join('\n');
}

function plan(saved: string, modes: ReadonlySet<'iptables' | 'ipvs'> = BOTH): RulePlan {
  return planRules(tablesOf(saved), modes, 'iptables-nft');
}

function names({ objects }: RulePlan, kind: string): readonly string[] {
  return objects.filter((object) => object.kind === kind).map(({ name }) => name);
}

function lines({ batches }: RulePlan, table: string): readonly string[] {
  return batches.find((batch) => batch.table === table)?.lines ?? [];
}

describe('What kube-proxy 1.36 left', () => {
  for (const [file, mode] of [
    ['iptables-save.txt', 'iptables'],
    ['ip6tables-save.txt', 'iptables'],
    ['ipvs-iptables.txt', 'ipvs'],
    ['ipvs-ip6tables.txt', 'ipvs'],
  ] as const) {
    test(`is found to the last chain and jump in ${file}`, () => {
      const saved = recorded(file);
      const found = plan(saved);
      const chains = [...saved.matchAll(/^:(KUBE-\S+)/gm)].map(([, name]) => name);
      const kubelets = /^KUBE-(?:FIREWALL|KUBELET-CANARY|IPTABLES-HINT)$/;
      assert.deepEqual(
        names(found, 'chain'),
        chains.filter((name) => !kubelets.test(name ?? '')),
      );
      assert.deepEqual(
        found.kept.map(({ name }) => name),
        chains.filter((name) => kubelets.test(name ?? '')),
      );
      const jumps = [...saved.matchAll(/^-A (?:PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) .*/gm)];
      assert.deepEqual(
        names(found, 'jump'),
        jumps.map(([rule]) => rule).filter((rule) => !rule.endsWith('KUBE-FIREWALL')),
      );
      assert.ok(found.objects.every((object) => object.mode === mode));
    });
  }

  test('goes table by table: chains are emptied, jumps deleted, then the chains', () => {
    assert.deepEqual(lines(plan(nat()), 'nat'), [
      ':KUBE-SERVICES - [0:0]',
      ':KUBE-MARK-MASQ - [0:0]',
      ':KUBE-POSTROUTING - [0:0]',
      '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      '-D POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
      '-X KUBE-SERVICES',
      '-X KUBE-MARK-MASQ',
      '-X KUBE-POSTROUTING',
    ]);
  });

  test('is nothing where only others have rules', () => {
    const others = [
      '*filter',
      ':INPUT ACCEPT',
      ':KUBE-FIREWALL -',
      ':KUBE-ROUTER-INPUT -',
      ':KUBE-SVC-TOOSHORT -',
      ':KUBE-NWPLCY-DEFAULT -',
      ':SWY-IPVS -',
      '-A INPUT -j KUBE-FIREWALL',
      '-A INPUT -m comment --comment "kube-router netpol" -j KUBE-ROUTER-INPUT',
      '-A INPUT -j SWY-IPVS',
    ].join('\n');
    const found = plan(others);
    assert.deepEqual(found.objects, []);
    assert.deepEqual(found.batches, []);
    assert.deepEqual(
      found.kept.map(({ name }) => name),
      ['KUBE-FIREWALL'],
    );
  });
});

describe('Rules of others', () => {
  test('that lead to a chain keep it, empty; all else goes', () => {
    const found = plan(nat('-A PREROUTING -i eth0 -j KUBE-SERVICES'));
    assert.ok(!names(found, 'chain').includes('KUBE-SERVICES'));
    assert.deepEqual(names(found, 'chain'), ['KUBE-MARK-MASQ', 'KUBE-POSTROUTING']);
    assert.match(found.kept[0]?.reason ?? '', /-A PREROUTING -i eth0 -j KUBE-SERVICES/);
    const batch = lines(found, 'nat');
    assert.ok(batch.includes(':KUBE-SERVICES - [0:0]'));
    assert.ok(!batch.includes('-X KUBE-SERVICES'));
    assert.ok(!batch.some((line) => line.includes('eth0')));
  });

  test('that mark for masquerading keep that working', () => {
    const rule = '-A CNI-DN-1 -s 10.88.0.0/16 -j KUBE-MARK-MASQ';
    const found = plan(nat(':CNI-DN-1 -', rule));
    assert.deepEqual(names(found, 'chain'), ['KUBE-SERVICES']);
    assert.deepEqual(
      found.kept.map(({ name, reason }) => `${name}: ${reason}`),
      [
        `KUBE-MARK-MASQ: A rule of others needs it: ${rule}`,
        `KUBE-POSTROUTING: A rule of others needs it: ${rule}`,
      ],
    );
    const batch = lines(found, 'nat').join('\n');
    assert.doesNotMatch(batch, /MARK-MASQ|POSTROUTING|CNI/);
    assert.match(batch, /^-X KUBE-SERVICES$/m);
  });

  test('do not count by what their comment says', () => {
    const found = plan(nat('-A PREROUTING -m comment --comment "see -j KUBE-SERVICES" -j ACCEPT'));
    assert.deepEqual(found.kept, []);
    assert.ok(names(found, 'chain').includes('KUBE-SERVICES'));
  });

  test('on sets of kube-proxy are told, for the sets', () => {
    const rule = '-A PREROUTING -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT';
    const found = plan(nat(rule));
    assert.deepEqual([...found.setUsers], [['KUBE-CLUSTER-IP', rule]]);
  });
});

test('marking and masquerading stay with an old kubelet, which has them too', () => {
  const found = plan(nat(':KUBE-MARK-DROP -'));
  assert.deepEqual(names(found, 'chain'), ['KUBE-SERVICES']);
  const kept = found.kept.map(({ name }) => name);
  assert.deepEqual(kept, ['KUBE-MARK-MASQ', 'KUBE-POSTROUTING', 'KUBE-MARK-DROP']);
});

describe('One mode alone', () => {
  const ipvs = recorded('ipvs-iptables.txt');

  test('is not touched for the other', () => {
    const found = plan(ipvs, new Set(['iptables']));
    assert.deepEqual(found.objects, []);
    assert.deepEqual(found.batches, []);
  });

  test('takes the chains that both make, when it alone is there', () => {
    assert.ok(names(plan(ipvs, new Set(['ipvs'])), 'chain').includes('KUBE-SERVICES'));
    const iptables = plan(recorded('iptables-save.txt'), new Set(['iptables']));
    assert.ok(names(iptables, 'chain').includes('KUBE-SERVICES'));
  });

  test('leaves those to the other that is there too, and takes its rules out of them', () => {
    const found = plan(
      nat(
        ':KUBE-SVC-AAAAAAAAAAAAAAAA -',
        ':KUBE-NODE-PORT -',
        '-A KUBE-SERVICES -j KUBE-SVC-AAAAAAAAAAAAAAAA',
        '-A KUBE-SERVICES -j KUBE-NODE-PORT',
        '-A KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE',
      ),
      new Set(['ipvs']),
    );
    assert.deepEqual(lines(found, 'nat'), [
      ':KUBE-NODE-PORT - [0:0]',
      '-D KUBE-SERVICES -j KUBE-NODE-PORT',
      '-D KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE',
      '-X KUBE-NODE-PORT',
    ]);
  });
});
