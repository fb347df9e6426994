import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { advise } from '../../../../src/tools/advise/advise.ts';
import type { Facts } from '../../../../src/tools/advise/facts.ts';
import { factsOf, measurement, modes } from './facts-of.ts';

const NEW_KERNEL = { major: 6, minor: 12 } as const;
const OLD_KERNEL = { major: 5, minor: 4 } as const;
const MANY = 5000;

/** What is known, and the mode that follows. */
const cases: readonly (readonly [
  title: string,
  known: Partial<Facts>,
  mode: string | undefined,
])[] = [
  ['nothing', {}, 'nftables'],
  ['a kernel with nf_tables', { kernel: NEW_KERNEL }, 'nftables'],
  ['a CNI that serves Services', { cniServesServices: true, kernel: NEW_KERNEL }, undefined],
  ['an old kernel and few Services', { kernel: OLD_KERNEL, services: 1000 }, 'iptables'],
  ['an old kernel and many Services', { kernel: OLD_KERNEL, services: 1001 }, 'ipvs'],
  [
    'an old kernel without IPVS and many Services',
    { kernel: OLD_KERNEL, services: MANY, modes: modes({ nftables: false, ipvs: false }) },
    'iptables',
  ],
  [
    'a new kernel on which nftables mode was tried in vain',
    { kernel: NEW_KERNEL, modes: modes({ nftables: false }) },
    'iptables',
  ],
  [
    'no iptables on an old kernel with IPVS',
    { modes: modes({ nftables: false, ipvs: true, iptables: false }) },
    'ipvs',
  ],
  [
    'a kernel on which nothing works',
    { services: MANY, modes: modes({ nftables: false, ipvs: false, iptables: false }) },
    undefined,
  ],
  ['schedulers', { schedulers: true }, 'ipvs'],
  ['schedulers without IPVS', { schedulers: true, modes: modes({ ipvs: false }) }, 'nftables'],
  ['node ports of 127.0.0.1', { localhostNodePorts: true }, 'iptables'],
  [
    'node ports of 127.0.0.1 without iptables',
    { localhostNodePorts: true, modes: modes({ iptables: false }) },
    'nftables',
  ],
  [
    'a kube-proxy without a stable nftables mode',
    { proxy: 'kube-proxy', kubernetes: { major: 1, minor: 32 }, kernel: NEW_KERNEL },
    'iptables',
  ],
  [
    'a kube-proxy with one',
    { proxy: 'kube-proxy', kubernetes: { major: 1, minor: 33 }, kernel: NEW_KERNEL },
    'nftables',
  ],
  [
    'an old cluster with Switchyard',
    { proxy: 'switchyard', kubernetes: { major: 1, minor: 28 }, kernel: NEW_KERNEL },
    'nftables',
  ],
  [
    'changes that nftables mode was measured to keep up with',
    { changesPerSecond: 500, measured: measurement({ nftables: 1, ipvs: 0.1 }) },
    'nftables',
  ],
  [
    'changes that it was measured not to keep up with',
    { changesPerSecond: 501, measured: measurement({ nftables: 1, ipvs: 0.1 }) },
    'ipvs',
  ],
  [
    'changes that no mode keeps up with, and nftables mode best',
    { changesPerSecond: 501, measured: measurement({ nftables: 1, ipvs: 2 }) },
    'nftables',
  ],
];

/** What is to know beside the mode. */
function notes(known: Partial<Facts>): string {
  return advise(factsOf(known))
    .notes.map(({ text }) => text)
    .join('\n');
}

describe('advice', () => {
  for (const [title, known, mode] of cases) {
    it(`with ${title}: ${mode ?? 'no mode'}`, () => {
      assert.equal(advise(factsOf(known)).mode, mode);
    });
  }

  it('says what was seen, and how to find out what was assumed', () => {
    const { decisions } = advise(factsOf({ kernel: NEW_KERNEL }));
    const known = decisions.find(({ id }) => id === 'nftables');
    assert.deepEqual(
      [known?.answer, known?.because, known?.isAssumed, known?.findOut],
      [true, 'Linux 6.12', false, undefined],
    );
    const assumed = decisions.find(({ id }) => id === 'schedulers');
    assert.deepEqual([assumed?.answer, assumed?.isAssumed], [false, true]);
    assert.match(assumed?.findOut ?? '', /ipvs-scheduler/);
  });

  it('names the answers that would lead to another mode, and only those', () => {
    const { alternatives } = advise(
      factsOf({
        kernel: NEW_KERNEL,
        modes: modes({ nftables: true, ipvs: false, iptables: true }),
      }),
    );
    const then = alternatives.map(({ question, answer, leadsTo }) => [
      /^\w+ \w+/.exec(question)?.[0],
      answer,
      leadsTo,
    ]);
    assert.deepEqual(then, [
      ['Does the', true, 'no proxy: the CNI serves Services'],
      ['Will a', true, 'iptables'],
      ['Does nftables', false, 'iptables'],
      ['Does nftables', false, 'iptables'],
      ['Do processes', true, 'iptables'],
    ]);
  });

  it('repeats what is missing where a mode does not work', () => {
    const { decisions } = advise(factsOf({ modes: modes({ nftables: false }) }));
    const { because } = decisions.find(({ id }) => id === 'nftables') ?? {};
    assert.equal(because, 'nftables mode does not work here: something is missing.');
  });

  it('tells what to know about the answer only where it applies', () => {
    assert.match(notes({ schedulers: true }), /deprecated since 1\.35/);
    assert.match(notes({ schedulers: true, nodes: 3 }), /Every node schedules for itself/);
    assert.doesNotMatch(notes({ schedulers: true, nodes: 1 }), /Every node schedules for itself/);
    assert.doesNotMatch(notes({}), /deprecated|affinity/);
    assert.match(notes({ affinityServices: 1 }), /affinity/);
    const big = {
      proxy: 'kube-proxy',
      kubernetes: { major: 1, minor: 34 },
      endpoints: 200_000,
    } as const;
    assert.match(notes({ ...big, kernel: { major: 6, minor: 1 } }), /takes minutes/);
    assert.doesNotMatch(notes({ ...big, kernel: NEW_KERNEL }), /takes minutes/);
  });

  it('has no commands where there is no mode to go to', () => {
    assert.deepEqual(advise(factsOf({ cniServesServices: true })).commands, []);
    const { commands } = advise(factsOf({ proxy: 'kube-proxy', kubernetes: NEW_KERNEL }));
    assert.match(commands.join('\n'), /^switchyard migrate --to nftables .*--proxy kube-proxy/);
  });
});
