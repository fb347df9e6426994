import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlaneSettings } from '../../../../src/core/node.ts';
import { Marks } from '../../../../src/planes/ipvs/marks.ts';
import { familyRules } from '../../../../src/planes/ipvs/rules.ts';
import {
  isInForce,
  ourPart,
  parseTables,
  removeTables,
  writeTable,
} from '../../../../src/planes/ipvs/rule-tables.ts';
import { cidr } from '../../core/build.ts';

const settings: PlaneSettings = {
  families: ['IPv4', 'IPv6'],
  masqueradeAll: false,
  countedPorts: 0,
  serviceCidrs: [cidr('10.96.0.0/12'), cidr('fd96::/108')],
  localTraffic: { IPv4: { kind: 'cidr', cidr: cidr('10.244.0.0/16') } },
};

function rulesOf(changes: Partial<PlaneSettings> = {}, family: 'IPv4' | 'IPv6' = 'IPv4') {
  return familyRules(family, { ...settings, ...changes }, 0x4000, new Marks(0x4000));
}

function mangle(changes: Partial<PlaneSettings> = {}) {
  const [rules] = rulesOf(changes);
  assert.equal(rules?.table, 'mangle');
  return rules;
}

/** What iptables-save would print after iptables-restore read this into empty tables. */
function saved(input: string): string {
  return input
    .replace(/^-[DFX] .*\n/gm, '')
    .replace(/^-I (\S+) 1 /gm, '-A $1 ')
    .replace('*mangle\n', '*mangle\n:PREROUTING ACCEPT [5:300]\n:OUTPUT ACCEPT [0:0]\n');
}

test('the rules are few, whatever the settings', () => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    const count = rulesOf({}, family).flatMap(({ chains }) => [...chains.values()].flat()).length;
    assert.ok(count < 30, `${count} rules`);
  }
});

test('rules of one family name sets and addresses of that family only', () => {
  const text = JSON.stringify(rulesOf({}, 'IPv6').flatMap(({ chains }) => Array.from(chains)));
  assert.doesNotMatch(text, /swy-ipvs4|10\.96|10\.244/);
  assert.match(text, /-d fd96::\/108 -j DROP/);
});

function clusterMatches(changes: Partial<PlaneSettings>): readonly string[] {
  const rules = mangle(changes).chains.get('SWY-IPVS-FRONTEND') ?? [];
  return rules.filter((rule) => rule.includes('cluster') && rule.includes('MARK'));
}

test('cluster-IP traffic is masqueraded as the settings have it', () => {
  assert.match(clusterMatches({})[0] ?? '', /! -s 10\.244\.0\.0\/16/);
  assert.doesNotMatch(clusterMatches({ masqueradeAll: true })[0] ?? '-s', /-s /);
  assert.deepEqual(clusterMatches({ localTraffic: {} }), []);
  const byName = { IPv4: { kind: 'interfacePrefix', prefix: 'cni' } } as const;
  assert.match(clusterMatches({ localTraffic: byName })[0] ?? '', /! -i cni\+/);
});

test('what was written is known again, and rules of other settings are not', () => {
  const tables = parseTables(saved(writeTable(mangle(), undefined)));
  assert.ok(isInForce(mangle(), tables.get('mangle')));
  assert.ok(!isInForce(mangle({ masqueradeAll: true }), tables.get('mangle')));
  assert.ok(!isInForce(mangle(), undefined));
});

test('a rule more, a rule less or a jump less is noticed', () => {
  const text = saved(writeTable(mangle(), undefined));
  const isRight = (damaged: string): boolean =>
    isInForce(mangle(), parseTables(damaged).get('mangle'));
  const whole = ourPart(parseTables(text).get('mangle'));
  for (const damaged of [
    text.replace('-A SWY-IPVS-SOURCES -j DROP\n', ''),
    text.replace('COMMIT', '-A SWY-IPVS -j DROP\nCOMMIT'),
    text.replace(/-A PREROUTING .*\n/, ''),
    text.replace('COMMIT', '-A OUTPUT -j SWY-IPVS\nCOMMIT'),
    text.replace(/:SWY-IPVS-INSIDE.*\n/, ''),
  ]) {
    assert.ok(!isRight(damaged));
    assert.notEqual(ourPart(parseTables(damaged).get('mangle')), whole);
  }
});

test('rules of others are not looked at, and are left when ours are replaced or removed', () => {
  const text = saved(writeTable(mangle(), undefined)).replace(
    'COMMIT',
    '-A PREROUTING -j THEIRS\n-A OUTPUT -j SWY-IPVSOMETHING\nCOMMIT',
  );
  const tables = parseTables(text);
  assert.ok(isInForce(mangle(), tables.get('mangle')));
  for (const input of [writeTable(mangle(), tables.get('mangle')), removeTables(tables)]) {
    assert.match(input, /-D PREROUTING -m conntrack --ctstate NEW -j SWY-IPVS\n/);
    assert.doesNotMatch(input, /THEIRS|SWY-IPVSOMETHING/);
  }
});

test('a chain of an earlier version goes when the rules are replaced', () => {
  const old = parseTables('*mangle\n:SWY-IPVS-OLD - [0:0]\n-A SWY-IPVS-OLD -j DROP\nCOMMIT\n');
  const input = writeTable(mangle(), old.get('mangle'));
  assert.match(input, /-F SWY-IPVS-OLD\n[^]*-X SWY-IPVS-OLD\n/);
  assert.equal(removeTables(parseTables('*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n')), '');
});
