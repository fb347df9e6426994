import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type VariantFacts, chooseVariant } from '../../../../src/kernel/iptables/variant.ts';

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
