/** Label and field selectors of the stand-in API server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StatusError } from '../../../src/testing/errors.ts';
import type { JsonObject } from '../../../src/testing/json.ts';
import { ENDPOINT_SLICES, EVENTS, NODES, SERVICES } from '../../../src/testing/resources.ts';
import { parseFieldSelector, parseLabelSelector } from '../../../src/testing/selectors.ts';

const OBJECTS: Readonly<Record<string, JsonObject>> = {
  none: { metadata: { name: 'none' } },
  a: { metadata: { name: 'a', labels: { tier: 'a' } } },
  b: { metadata: { name: 'b', labels: { tier: 'b', 'example.com/in': '' } } },
  empty: { metadata: { name: 'empty', labels: { tier: '' } } },
};

function selected(text: string): string[] {
  const selectors = parseLabelSelector(text);
  return Object.keys(OBJECTS).filter((name) =>
    selectors.every((selects) => selects(OBJECTS[name] ?? {})),
  );
}

describe('label selectors', () => {
  for (const [text, names] of [
    ['', ['none', 'a', 'b', 'empty']],
    ['tier', ['a', 'b', 'empty']],
    ['!tier', ['none']],
    ['! tier', ['none']],
    ['tier=a', ['a']],
    ['tier == a', ['a']],
    ['tier=', ['empty']],
    ['tier!=a', ['none', 'b', 'empty']],
    ['tier in (a, b)', ['a', 'b']],
    ['tier in (a,)', ['a', 'empty']],
    ['tier in ()', ['empty']],
    ['tier notin (a,b)', ['none', 'empty']],
    ['tier,!example.com/in', ['a', 'empty']],
    ['example.com/in', ['b']],
    ['tier in (in,notin,b)', ['b']],
    ['in', []],
  ] as const) {
    it(`"${text}" selects ${names.join(', ')}`, () => {
      assert.deepEqual(selected(text), names);
    });
  }

  for (const text of [
    'tier in a',
    'tier in (a',
    'tier in (a b)',
    '=a',
    'tier=a=b',
    'tier,',
    '!',
    'tier>1',
    '-x',
    'a/b/c',
    'tier=$',
    'x'.repeat(64),
  ]) {
    it(`"${text}" is refused`, () => {
      assert.throws(
        () => parseLabelSelector(text),
        (error) => error instanceof StatusError && error.code === 400,
      );
    });
  }
});

describe('field selectors', () => {
  const service = { metadata: { name: 'a', namespace: 'n' }, spec: { clusterIP: 'None' } };

  for (const [text, expected] of [
    ['', true],
    ['spec.clusterIP=None', true],
    ['spec.clusterIP!=None', false],
    ['spec.clusterIP==None,metadata.name!=b', true],
    ['metadata.namespace=n,metadata.name=b', false],
    [String.raw`metadata.name!=a\,b`, true],
    ['spec.type=', true],
  ] as const) {
    it(`"${text}" ${expected ? 'selects' : 'does not select'}`, () => {
      const selectors = parseFieldSelector(text, SERVICES);
      assert.equal(
        selectors.every((selects) => selects(service)),
        expected,
      );
    });
  }

  it('know that a Node without the field can be scheduled', () => {
    const [selects = () => false] = parseFieldSelector('spec.unschedulable=false', NODES);
    assert.ok(selects({ spec: {} }));
    assert.ok(!selects({ spec: { unschedulable: true } }));
  });

  for (const [text, resource, message] of [
    ['status.phase=x', NODES, 'field label not supported: status.phase'],
    [
      'spec.x=y',
      ENDPOINT_SLICES,
      '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    [
      'metadata.name',
      SERVICES,
      "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    ],
    ['type=a=b', EVENTS, 'invalid field selector: unescaped character in value: 61'],
  ] as const) {
    it(`"${text}" is refused`, () => {
      assert.throws(() => parseFieldSelector(text, resource), { message });
    });
  }
});
