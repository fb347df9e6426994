import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAddress } from '../../../../src/core/ip.ts';
import type { VirtualAddress } from '../../../../src/kernel/ipvs/servers.ts';
import type { Leftover, Leftovers, Removal } from '../../../../src/tools/cleanup/leftovers.ts';
import { isKept, stillThere } from '../../../../src/tools/switch/compare.ts';
import type { SavedObjects } from '../../../../src/tools/switch/undo-bundle.ts';

const ADDRESS = parseAddress('10.0.0.4');
const OTHER = parseAddress('10.0.0.5');
assert.ok(ADDRESS !== undefined && OTHER !== undefined);

function server(port: number): VirtualAddress {
  assert.ok(ADDRESS !== undefined);
  return { protocol: 'TCP', address: ADDRESS, port };
}

const PLANNED: Removal = {
  rules: [],
  servers: [server(80), server(81)],
  addresses: [ADDRESS],
  link: true,
  sets: ['KUBE-CLUSTER-IP', 'KUBE-IPVS-IPS'],
  tables: ['IPv4'],
};

function found(removal: Removal | undefined, kind: Leftover['kind']): Leftovers {
  const object = { mode: 'ipvs', kind, place: 'here', name: 'x', contents: '' } as const;
  return {
    owner: 'kube-proxy',
    modes: [],
    objects: [object],
    kept: [],
    unseen: [],
    removal,
  };
}

describe('After a drain', () => {
  test('what is still there goes', () => {
    assert.deepEqual(stillThere(PLANNED, found(PLANNED, 'virtual server')), {
      ...PLANNED,
      tables: [],
    });
  });

  test('what our ipvs mode has taken over stays, and so does what came since', () => {
    const now: Removal = {
      ...PLANNED,
      servers: [server(81), server(82)],
      addresses: [],
      link: false,
      sets: ['KUBE-CLUSTER-IP', 'KUBE-LOOP-BACK'],
    };
    assert.deepEqual(stillThere(PLANNED, found(now, 'virtual server')), {
      rules: [],
      servers: [server(81)],
      addresses: [],
      link: false,
      sets: ['KUBE-CLUSTER-IP'],
      tables: [],
    });
  });

  test('the link stays where it would take more addresses with it, or was not kept', () => {
    const more = { ...PLANNED, addresses: [ADDRESS, OTHER] };
    const rest = stillThere(PLANNED, found(more, 'link'));
    assert.deepEqual([rest?.link, rest?.addresses], [false, [ADDRESS]]);
    assert.equal(stillThere({ ...PLANNED, link: false }, found(PLANNED, 'link'))?.link, false);
  });

  test('nothing goes when there are rules again', () => {
    for (const kind of ['chain', 'rule', 'jump', 'table', 'set'] as const) {
      assert.equal(stillThere(PLANNED, found(PLANNED, kind)), undefined);
    }
  });
});

const CHAIN = { name: 'KUBE-SVC-A', rules: ['-j KUBE-SEP-A', '-j KUBE-SEP-B'] };
const PLACE = { chain: 'OUTPUT', rules: ['-j OTHER', '-j KUBE-SERVICES'], taken: [1] };
const SAVED: SavedObjects = {
  objects: [{ mode: 'iptables', kind: 'chain', place: 'nat', name: 'KUBE-SVC-A', contents: '2' }],
  rules: [
    {
      variant: 'nft',
      family: 'IPv4',
      tables: [{ table: 'nat', chains: [CHAIN], places: [PLACE] }],
    },
  ],
  sets: [
    {
      definition: { name: 'KUBE-IPVS-IPS', type: 'hash:ip', family: 'IPv4' },
      elements: [{ ip: ADDRESS }],
    },
  ],
  servers: [],
  link: false,
  addresses: [],
  tables: [{ family: 'IPv4', text: 'table ip kube-proxy {}' }],
  unsaved: [],
};

function withTable(chains: readonly (typeof CHAIN)[], places: readonly (typeof PLACE)[]) {
  const tables = [{ table: 'nat', chains, places }];
  return { ...SAVED, rules: [{ variant: 'nft', family: 'IPv4', tables }] } as const;
}

describe('What was kept before', () => {
  test('holds the same, and what is left of it', () => {
    assert.equal(isKept(SAVED, SAVED), true);
    assert.equal(isKept({ ...SAVED, objects: [], sets: [] }, SAVED), true);
    assert.equal(isKept(withTable([{ ...CHAIN, rules: [] }], []), SAVED), true, 'emptied');
    const moved = { ...PLACE, rules: ['-j KUBE-SERVICES'], taken: [0] };
    assert.equal(isKept(withTable([CHAIN], [moved]), SAVED), true, 'others left');
    const text = 'table ip kube-proxy { elements = { 10.0.0.9 expires 1h } }';
    assert.equal(isKept({ ...SAVED, tables: [{ family: 'IPv4', text }] }, SAVED), true);
  });

  test('does not hold the same names with something else in them', () => {
    const [set] = SAVED.sets;
    assert.ok(set !== undefined);
    assert.equal(isKept(withTable([{ ...CHAIN, rules: ['-j KUBE-SEP-C'] }], []), SAVED), false);
    const rules = ['-j OTHER', '-m comment --comment new -j KUBE-SERVICES'];
    assert.equal(isKept(withTable([], [{ ...PLACE, rules }]), SAVED), false);
    const elements = [{ ip: OTHER }];
    assert.equal(isKept({ ...SAVED, sets: [{ ...set, elements }] }, SAVED), false);
    assert.equal(isKept(SAVED, { ...SAVED, objects: [] }), false);
  });
});
