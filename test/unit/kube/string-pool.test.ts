import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { StringPool } from '../../../src/kube/wire/string-pool.ts';

it('a pool gives the text that stands in the bytes, whatever was read before', () => {
  const pool = new StringPool();
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const bytes = Buffer.from(`<${text}>`);
      assert.equal(pool.read(bytes, 1, bytes.length - 1), text);
      assert.equal(pool.read(bytes, 1, bytes.length - 1), text);
      assert.equal(pool.share(text), text);
    }),
    { numRuns: 2000 },
  );
});

it('bytes of UTF-8 are not taken for a text of those codes', () => {
  const pool = new StringPool();
  assert.equal(pool.share('\u00c3\u00a9'), '\u00c3\u00a9');
  assert.equal(pool.read(Buffer.from('é'), 0, 2), 'é');
});
