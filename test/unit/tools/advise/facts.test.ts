import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseFact, parseVersion } from '../../../../src/tools/advise/facts.ts';
import { readFacts } from '../../../../src/tools/advise/read-facts.ts';
import { hasCode } from '../has-code.ts';

describe('facts', () => {
  it('are read from text of their kind and no other', () => {
    assert.deepEqual(parseFact('services', '0'), { services: 0 });
    assert.deepEqual(parseFact('changesPerSecond', '2.5'), { changesPerSecond: 2.5 });
    assert.deepEqual(parseFact('schedulers', 'no'), { schedulers: false });
    assert.deepEqual(parseFact('kernel', '6.12.3-amd64'), { kernel: { major: 6, minor: 12 } });
    assert.deepEqual(parseFact('proxy', 'kube-proxy'), { proxy: 'kube-proxy' });
    for (const text of ['-1', '1.5', 'many', '', '1e3', '12345678901']) {
      assert.equal(parseFact('services', text), undefined, text);
    }
    for (const text of ['', 'maybe', 'toString']) {
      assert.equal(parseFact('schedulers', text), undefined, text);
    }
    assert.equal(parseFact('proxy', 'cilium'), undefined);
  });

  it('know versions as kernels and clusters write them', () => {
    assert.deepEqual(parseVersion('v1.36.2'), { major: 1, minor: 36 });
    assert.deepEqual(parseVersion('5.15.0-91-generic'), { major: 5, minor: 15 });
    assert.deepEqual(parseVersion('6.10'), { major: 6, minor: 10 });
    for (const text of ['6', 'six.one', '6.1x', '']) assert.equal(parseVersion(text), undefined);
  });

  it('are read from a file, in which 6.10 is a version and not a number', () => {
    const text = 'kernel: 6.10\nservices: 5000 # counted\nlocalhostNodePorts: yes\n';
    assert.deepEqual(readFacts(text, 'facts.yaml'), {
      kernel: { major: 6, minor: 10 },
      services: 5000,
      localhostNodePorts: true,
    });
  });

  it('of a file that is wrong are refused with the name of the file and the fact', () => {
    for (const [text, reason] of [
      ['pods: 3', /facts\.yaml: there is no fact pods, only proxy, .*affinityServices/],
      ['services: many', /facts\.yaml: services must be a whole number from 0 on/],
      ['- services', /facts\.yaml: it must have lines like/],
      ['services: [', /facts\.yaml: /],
      ['', /facts\.yaml: it must have lines like/],
    ] as const) {
      assert.throws(() => readFacts(text, 'facts.yaml'), hasCode('SY_FACTS_INVALID', reason));
    }
  });
});
