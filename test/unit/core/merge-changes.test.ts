import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeChanges } from '../../../src/core/merge-changes.ts';
import type { RouteChange } from '../../../src/core/route.ts';
import { endpoint, onlyRoute, service, slice } from './build.ts';

const one = onlyRoute(service(), [slice([endpoint('10.1.0.1')])]);
const two = onlyRoute(service(), [slice([endpoint('10.1.0.2')])]);
const twoAgain = onlyRoute(service(), [slice([endpoint('10.1.0.2')])]);
const other = onlyRoute(service({ name: 'other' }));
const { key } = one;

interface Case {
  readonly name: string;
  readonly changes: readonly RouteChange[];
  readonly merged: readonly RouteChange[];
}

const CASES: readonly Case[] = [
  { name: 'nothing', changes: [], merged: [] },
  {
    name: 'two updates are one',
    changes: [
      { key, before: undefined, after: one },
      { key, before: one, after: two },
    ],
    merged: [{ key, before: undefined, after: two }],
  },
  {
    name: 'a removal and an addition are an update',
    changes: [
      { key, before: one, after: undefined },
      { key, before: undefined, after: two },
    ],
    merged: [{ key, before: one, after: two }],
  },
  {
    name: 'what comes and goes is nothing',
    changes: [
      { key, before: undefined, after: one },
      { key, before: one, after: undefined },
    ],
    merged: [],
  },
  {
    name: 'what is again what it was is nothing',
    changes: [
      { key, before: two, after: one },
      { key, before: one, after: undefined },
      { key, before: undefined, after: twoAgain },
    ],
    merged: [],
  },
  {
    name: 'what was nothing may become something again',
    changes: [
      { key, before: undefined, after: one },
      { key, before: one, after: undefined },
      { key, before: undefined, after: two },
    ],
    merged: [{ key, before: undefined, after: two }],
  },
  {
    name: 'removals come first',
    changes: [
      { key: other.key, before: undefined, after: other },
      { key, before: one, after: two },
      { key, before: two, after: undefined },
    ],
    merged: [
      { key, before: one, after: undefined },
      { key: other.key, before: undefined, after: other },
    ],
  },
];

for (const { name, changes, merged } of CASES) {
  test(`merging changes: ${name}`, () => assert.deepEqual(mergeChanges(changes), merged));
}
