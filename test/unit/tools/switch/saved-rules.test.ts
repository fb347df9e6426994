import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseChains } from '../../../../src/tools/cleanup/machine.ts';
import { type Chains, planRules } from '../../../../src/tools/cleanup/rule-plan.ts';
import {
  type SavedTable,
  linesThatRestore,
  savedRules,
} from '../../../../src/tools/switch/saved-rules.ts';

const PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES';
const POSTROUTING = '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING';
const SERVICES = [
  '-P PREROUTING ACCEPT',
  '-P POSTROUTING ACCEPT',
  '-N KUBE-SERVICES',
  '-N KUBE-MARK-MASQ',
  '-N KUBE-POSTROUTING',
  '-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-MARK-MASQ',
  '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
  '-A KUBE-POSTROUTING -j MASQUERADE',
];

/** What is removed of kube-proxy's in a table, and what is left of it. */
function taken(...lines: readonly string[]): { saved: SavedTable; left: Chains } {
  const found = parseChains(lines);
  const tables = new Map([['nat', found]]);
  const { batches } = planRules(tables, new Set(['iptables', 'ipvs']), 'iptables-nft');
  const { tables: saved } = savedRules({
    variant: 'nft',
    family: 'IPv4',
    batches,
    found: tables,
  });
  assert.ok(saved[0] !== undefined);
  return { saved: saved[0], left: apply(found, batches[0]?.lines ?? []) };
}

/** What iptables-restore makes of lines. */
function apply(before: Chains, lines: readonly string[]): Chains {
  const chains = new Map([...before].map(([name, rules]) => [name, [...rules]]));
  for (const line of lines) {
    const [, made] = /^:(\S+) /.exec(line) ?? [];
    if (made !== undefined) {
      chains.set(made, []);
      continue;
    }
    const [, verb = '', chain = '', rest = ''] = /^-(.) (\S+) ?(.*)$/.exec(line) ?? [];
    const rules = chains.get(chain);
    assert.ok(rules !== undefined, line);
    if (verb === 'A') rules.push(rest);
    else if (verb === 'X') chains.delete(chain);
    else if (verb === 'D') {
      const index = rules.indexOf(rest);
      assert.ok(index >= 0, line);
      rules.splice(index, 1);
    } else {
      const [, number = '', rule = ''] = /^(\d+) (.*)$/.exec(rest) ?? [];
      assert.equal(verb, 'I');
      assert.ok(Number(number) <= rules.length + 1, line);
      rules.splice(Number(number) - 1, 0, rule);
    }
  }
  return chains;
}

function sorted(chains: Chains): readonly (readonly [string, readonly string[]])[] {
  return [...chains].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

describe('What was taken from a table of iptables', () => {
  test('comes back as it was, each rule between its neighbours', () => {
    const lines = [
      ...SERVICES,
      '-A PREROUTING -i eth1 -j ACCEPT',
      `-A PREROUTING ${PORTALS}`,
      '-A PREROUTING -i eth2 -j ACCEPT',
      `-A POSTROUTING ${POSTROUTING}`,
      '-A POSTROUTING -o eth1 -j MASQUERADE',
    ];
    const { saved, left } = taken(...lines);
    assert.deepEqual(left.get('PREROUTING'), ['-i eth1 -j ACCEPT', '-i eth2 -j ACCEPT']);
    assert.equal(left.has('KUBE-SERVICES'), false);
    const back = apply(left, linesThatRestore(saved, left));
    assert.deepEqual(sorted(back), sorted(parseChains(lines)));
    assert.deepEqual(linesThatRestore(saved, back), [], 'a second call has nothing to do');
  });

  test('tells rules of others that are the same apart by their number', () => {
    const same = '-A PREROUTING -j LOG';
    const { saved, left } = taken(...SERVICES, same, same, `-A PREROUTING ${PORTALS}`, same);
    const back = apply(left, linesThatRestore(saved, left));
    assert.deepEqual(back.get('PREROUTING'), ['-j LOG', '-j LOG', PORTALS, '-j LOG']);
  });

  test('comes behind the nearest neighbour ahead that is left, whatever came and went meanwhile', () => {
    const { saved, left } = taken(
      ...SERVICES,
      '-A PREROUTING -i eth1 -j ACCEPT',
      '-A PREROUTING -i eth2 -j ACCEPT',
      `-A PREROUTING ${PORTALS}`,
      '-A PREROUTING -i eth3 -j ACCEPT',
    );
    const now = new Map(left).set('PREROUTING', [
      '-j SWY-SERVICES',
      '-i eth1 -j ACCEPT',
      '-i eth9 -j ACCEPT',
      '-i eth3 -j ACCEPT',
    ]);
    const back = apply(now, linesThatRestore(saved, now));
    assert.deepEqual(back.get('PREROUTING'), [
      '-j SWY-SERVICES',
      '-i eth1 -j ACCEPT',
      PORTALS,
      '-i eth9 -j ACCEPT',
      '-i eth3 -j ACCEPT',
    ]);
  });

  test('comes in front of the nearest neighbour behind where none is left ahead, else to the end', () => {
    const { saved, left } = taken(
      ...SERVICES,
      `-A PREROUTING ${PORTALS}`,
      '-A PREROUTING -i eth3 -j ACCEPT',
      `-A POSTROUTING ${POSTROUTING}`,
    );
    const now = new Map(left)
      .set('PREROUTING', ['-j SWY-SERVICES', '-i eth3 -j ACCEPT'])
      .set('POSTROUTING', ['-j SWY-POSTROUTING']);
    const back = apply(now, linesThatRestore(saved, now));
    assert.deepEqual(back.get('PREROUTING'), ['-j SWY-SERVICES', PORTALS, '-i eth3 -j ACCEPT']);
    assert.deepEqual(back.get('POSTROUTING'), ['-j SWY-POSTROUTING', POSTROUTING]);
  });

  test('leaves what kube-proxy has written again as it is', () => {
    const { saved, left } = taken(...SERVICES, `-A PREROUTING ${PORTALS}`);
    const written = ['-d 10.96.0.2/32 -j KUBE-MARK-MASQ'];
    const now = new Map(left).set('KUBE-SERVICES', written).set('PREROUTING', [PORTALS]);
    const back = apply(now, linesThatRestore(saved, now));
    assert.deepEqual(back.get('KUBE-SERVICES'), written);
    assert.deepEqual(back.get('PREROUTING'), [PORTALS]);
    assert.deepEqual(back.get('KUBE-POSTROUTING'), ['-j MASQUERADE']);
  });

  test('fills a chain that was only emptied, because a rule of others leads to it', () => {
    const user = '-A PREROUTING -s 192.0.2.1/32 -j KUBE-SERVICES';
    const { saved, left } = taken(...SERVICES, user, `-A PREROUTING ${PORTALS}`);
    assert.deepEqual(left.get('KUBE-SERVICES'), []);
    const back = apply(left, linesThatRestore(saved, left));
    assert.deepEqual(back.get('KUBE-SERVICES'), ['-d 10.96.0.1/32 -j KUBE-MARK-MASQ']);
    assert.deepEqual(back.get('PREROUTING'), ['-s 192.0.2.1/32 -j KUBE-SERVICES', PORTALS]);
  });

  test('comes back to a table that the kernel does not have any more', () => {
    const { saved } = taken(...SERVICES, `-A PREROUTING ${PORTALS}`);
    const lines = linesThatRestore(saved, new Map());
    assert.ok(lines.includes(`-I PREROUTING 1 ${PORTALS}`), lines.join('\n'));
  });

  test('never writes a rule of others', () => {
    const { saved, left } = taken(
      ...SERVICES,
      `-A PREROUTING ${PORTALS}`,
      '-A PREROUTING -i eth1 -j ACCEPT',
    );
    const now = new Map(left).set('PREROUTING', []);
    assert.doesNotMatch(linesThatRestore(saved, now).join('\n'), /eth1/);
  });
});
