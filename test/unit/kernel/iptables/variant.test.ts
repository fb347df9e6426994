import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKernelError } from '../../../../src/kernel/errors.ts';
import {
  type VariantFacts,
  checkVersion,
  chooseVariant,
} from '../../../../src/kernel/iptables/variant.ts';

const NOTHING: VariantFacts = {
  byDefault: 'nft',
  nftWorks: true,
  kubelet: undefined,
  rules: { nft: 0, legacy: 0 },
};

function choice(facts: Partial<VariantFacts>) {
  return chooseVariant({ ...NOTHING, ...facts });
}

test('without any rule the default of the machine is taken', () => {
  assert.equal(choice({}).variant, 'nft');
  assert.equal(choice({ byDefault: 'legacy' }).variant, 'legacy');
});

test('the one with more rules is taken, whatever the default is', () => {
  assert.equal(choice({ rules: { nft: 0, legacy: 1 } }).variant, 'legacy');
  assert.equal(choice({ byDefault: 'legacy', rules: { nft: 3, legacy: 2 } }).variant, 'nft');
  assert.equal(choice({ byDefault: 'legacy', rules: { nft: 2, legacy: 2 } }).variant, 'legacy');
});

test('the variant of the kubelet is taken, however many rules the other one has', () => {
  assert.equal(choice({ kubelet: 'nft', rules: { nft: 1, legacy: 99 } }).variant, 'nft');
  assert.equal(choice({ kubelet: 'legacy', rules: { nft: 99, legacy: 1 } }).variant, 'legacy');
});

test('a variant that the kernel does not take is not chosen', () => {
  const { variant, reason } = choice({ nftWorks: false, kubelet: 'nft' });
  assert.equal(variant, 'legacy');
  assert.match(reason, /kernel/);
});

test('rules of both are told, and rules of one are not', () => {
  const both = /rules of both variants are in force \(nft: 3, legacy: 2\)/;
  assert.match(choice({ rules: { nft: 3, legacy: 2 } }).reason, both);
  assert.match(choice({ kubelet: 'legacy', rules: { nft: 3, legacy: 2 } }).reason, both);
  assert.doesNotMatch(choice({ rules: { nft: 3, legacy: 0 } }).reason, /both/);
  assert.doesNotMatch(choice({ rules: { nft: 0, legacy: 2 } }).reason, /both/);
});

test('a version that does not answer while it runs is refused, and told what to install', () => {
  const tooOld = ['v1.8.4 (nf_tables)', 'v1.8.0 (legacy)', 'v1.8 (legacy)', 'v1.6.9', 'v0.9.9'];
  for (const version of [...tooOld, '']) {
    assert.throws(
      () => {
        checkVersion(version);
      },
      (error) =>
        isKernelError(error, 'SY_KERNEL_UNSUPPORTED') &&
        error.message.includes(version) &&
        error.message.includes('Install iptables 1.8.5 or later'),
      version,
    );
  }
  for (const version of ['v1.8.5 (nf_tables)', 'v1.8.10 (legacy)', 'v1.9 (nf_tables)', 'v2.0.0']) {
    checkVersion(version);
  }
});
