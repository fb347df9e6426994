import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteKey } from '../../../../src/core/route.ts';
import { Marks } from '../../../../src/planes/ipvs/marks.ts';

const key = (name: number | string): RouteKey => `shop/${name}:http/TCP/IPv4`;

test('every Route has a mark of its own, which is not the spare one and has not the masquerade bit', () => {
  for (const bit of [0, 3, 14, 16, 22, 31]) {
    const masquerade = 2 ** bit;
    const marks = new Marks(masquerade);
    const given = new Set<number>();
    for (let index = 0; index < 1000; index++) given.add(marks.assign(key(index), undefined) ?? 0);
    assert.equal(given.size, 1000);
    for (const mark of [...given, marks.spare]) {
      assert.ok(marks.isOurs(mark), `${mark} with bit ${bit}`);
      assert.equal((mark & masquerade) >>> 0, 0);
    }
    assert.ok(!given.has(marks.spare));
    assert.ok(!marks.isOurs(0) && !marks.isOurs(masquerade) && !marks.isOurs(7));
  }
});

test('a mark found in the kernel is kept, unless another Route has it', () => {
  const marks = new Marks(0x4000);
  const found = marks.spare + 77;
  marks.take(found);
  assert.equal(marks.assign(key('a'), found), found);
  assert.equal(marks.assign(key('a'), undefined), found);
  assert.notEqual(marks.assign(key('b'), found), found);
  assert.notEqual(marks.assign(key('c'), 0x1234), 0x1234);
});

test('a mark is given out again when its Route and its virtual server are gone', () => {
  const marks = new Marks(0);
  const all = Array.from({ length: 0xffff }, (_, index) => marks.assign(key(index), undefined));
  assert.equal(new Set(all).size, 0xffff);
  assert.equal(marks.assign(key('late'), undefined), undefined);
  marks.release(key(5));
  assert.equal(marks.assign(key('late'), undefined), undefined, 'its virtual server still drains');
  marks.free(all[5] ?? 0);
  assert.equal(marks.assign(key('late'), undefined), all[5]);
});

test('the range that iptables matches holds all marks and nothing else', () => {
  const marks = new Marks(0x4000);
  const [value = 0, mask = 0] = marks.range.split('/').map(Number);
  const matches = (mark: number): boolean => (mark & mask) >>> 0 === value;
  assert.ok(matches(marks.spare) && matches(marks.assign(key('a'), undefined) ?? 0));
  assert.ok(!matches(0) && !matches(0x4000));
});
