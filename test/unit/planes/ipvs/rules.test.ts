import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlaneSettings } from '../../../../src/core/node.ts';
import type { TableBatch } from '../../../../src/kernel/iptables/iptables.ts';
import { Marks } from '../../../../src/planes/ipvs/marks.ts';
import { familyRules } from '../../../../src/planes/ipvs/rules.ts';
import {
  isInForce,
  ourPart,
  parseChains,
  removeFromTable,
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

const EMPTY = ['-P PREROUTING ACCEPT', '-P OUTPUT ACCEPT'] as const;

/** What iptables would list after these lines were written to an empty table. */
function listed({ lines }: TableBatch): readonly string[] {
  const kept = lines.filter((line) => !/^-[DFX] /.test(line));
  return [
    ...EMPTY,
    ...kept.map((line) => line.replace(/^:(\S+) .*/, '-N $1').replace(/^-I (\S+) 1 /, '-A $1 ')),
  ];
}

function written(changes: Partial<PlaneSettings> = {}): readonly string[] {
  return listed(writeTable(mangle(changes), parseChains(EMPTY)));
}

test('the rules are few, whatever the settings', () => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    const count = rulesOf({}, family).flatMap(({ chains }) => [...chains.values()].flat()).length;
    assert.ok(count <= 30, `${count} rules`);
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
  const chains = parseChains(written());
  assert.ok(isInForce(mangle(), chains));
  assert.ok(!isInForce(mangle({ masqueradeAll: true }), chains));
  assert.ok(!isInForce(mangle(), parseChains(EMPTY)));
});

test('a rule more, a rule less or a jump less is noticed', () => {
  const whole = written();
  for (const damaged of [
    whole.filter((line) => line !== '-A SWY-IPVS-SOURCES -j DROP'),
    [...whole, '-A SWY-IPVS -j DROP'],
    whole.filter((line) => !line.startsWith('-A PREROUTING ')),
    [...whole, '-A OUTPUT -j SWY-IPVS'],
    whole.filter((line) => line !== '-N SWY-IPVS-INSIDE'),
  ]) {
    assert.notDeepEqual(damaged, whole);
    assert.ok(!isInForce(mangle(), parseChains(damaged)));
    assert.notEqual(ourPart(parseChains(damaged)), ourPart(parseChains(whole)));
  }
});

test('rules of others are not looked at, and are left when ours are replaced or removed', () => {
  const theirs = ['-A PREROUTING -j THEIRS', '-A OUTPUT -j SWY-IPVSOMETHING'];
  const chains = parseChains([...written(), ...theirs]);
  assert.ok(isInForce(mangle(), chains));
  assert.equal(ourPart(chains), ourPart(parseChains(written())));
  for (const batch of [writeTable(mangle(), chains), ...removeFromTable('mangle', chains)]) {
    assert.ok(batch.lines.includes('-D PREROUTING -m conntrack --ctstate NEW -j SWY-IPVS'));
    assert.doesNotMatch(batch.lines.join('\n'), /THEIRS|SWY-IPVSOMETHING/);
  }
});

test('a chain of an earlier version goes when the rules are replaced', () => {
  const old = parseChains([...EMPTY, '-N SWY-IPVS-OLD', '-A SWY-IPVS-OLD -j DROP']);
  const { lines } = writeTable(mangle(), old);
  assert.ok(lines.indexOf('-F SWY-IPVS-OLD') >= 0);
  assert.ok(lines.indexOf('-F SWY-IPVS-OLD') < lines.indexOf('-X SWY-IPVS-OLD'));
  assert.deepEqual(removeFromTable('mangle', parseChains(EMPTY)), []);
});
