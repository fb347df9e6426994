import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openKernelIo } from '../../../../src/kernel/koffi-io.ts';
import { describe, summarise } from '../../../../src/tools/cleanup/describe.ts';
import type { Leftovers } from '../../../../src/tools/cleanup/leftovers.ts';
import { unseenRules } from '../../../../src/tools/cleanup/machine.ts';

const FOUND: Leftovers = {
  owner: 'kube-proxy',
  modes: ['nftables', 'ipvs'],
  objects: [
    { mode: 'ipvs', kind: 'address', place: 'kube-ipvs0', name: '10.96.0.1', contents: '' },
    { mode: 'ipvs', kind: 'address', place: 'kube-ipvs0', name: '10.96.0.2', contents: '' },
    { mode: 'ipvs', kind: 'ipset', place: 'ipset', name: 'KUBE-LOOP-BACK', contents: '1 element' },
  ],
  kept: [{ kind: 'chain', place: 'iptables-nft filter', name: 'KUBE-FIREWALL', reason: 'Why.' }],
  unseen: ['Something.'],
  removal: undefined,
};

const REMARKS = [
  'These stay:',
  '  chain KUBE-FIREWALL (iptables-nft filter). Why.',
  'Not looked at:',
  '  Something.',
];

test('a list has every object, by place, then what stays and what was not seen', () => {
  assert.deepEqual(describe(FOUND), [
    'ipvs mode, kube-ipvs0:',
    '  address 10.96.0.1',
    '  address 10.96.0.2',
    'ipvs mode, ipset:',
    '  ipset KUBE-LOOP-BACK (1 element)',
    ...REMARKS,
  ]);
});

test('a summary has a sentence for each mode that was looked for', () => {
  assert.deepEqual(summarise(FOUND), [
    'There were no nftables rules of kube-proxy.',
    'Removed all ipvs rules of kube-proxy.',
    '  2 addresses, 1 ipset',
    ...REMARKS,
  ]);
});

test('without iptables its rules are said to be unseen, unless nobody asked for them', () => {
  const machine = { io: openKernelIo(), iptables: [] };
  assert.match(unseenRules(machine, ['ipvs', 'nftables'])[0] ?? '', /iptables.*Install/);
  assert.deepEqual(unseenRules(machine, ['nftables']), []);
});
