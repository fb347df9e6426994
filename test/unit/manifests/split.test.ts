import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitDocuments } from '../../../src/manifests/split.ts';

function split(text: string): readonly [number, string][] {
  return splitDocuments(Buffer.from(text)).map(({ line, bytes }) => [line, bytes.toString()]);
}

test('a file without markers is one document', () => {
  assert.deepEqual(split('a: 1\nb: 2\n'), [[1, 'a: 1\nb: 2\n']]);
});

test('each document keeps its marker and knows its line', () => {
  assert.deepEqual(split('a: 1\n---\nb: 2\n\n---\nc: 3\n'), [
    [1, 'a: 1\n'],
    [2, '---\nb: 2\n\n'],
    [5, '---\nc: 3\n'],
  ]);
});

test('the pieces put together are the file', () => {
  const text = '%YAML 1.1\n---\na: 1\n...\n# between\n---\nb: 2\n--- # marker with a comment\nc: 3';
  assert.equal(
    split(text)
      .map(([, part]) => part)
      .join(''),
    text,
  );
});

test('an empty file has no documents', () => {
  assert.deepEqual(split(''), []);
});

test('directives and comments stay with the document behind them', () => {
  assert.deepEqual(split('%YAML 1.2\n# mine\n---\na: 1\n'), [
    [1, '%YAML 1.2\n# mine\n---\na: 1\n'],
  ]);
});

test('a document end marker ends a document, and directives behind it belong to the next', () => {
  assert.deepEqual(split('a: 1\n...\n%YAML 1.2\n---\nb: 2\n'), [
    [1, 'a: 1\n...\n'],
    [3, '%YAML 1.2\n---\nb: 2\n'],
  ]);
});

test('what only looks like a marker does not split', () => {
  const text = 'a: |\n  ---\nb: ----\n---c: 1\n';
  assert.deepEqual(split(text), [[1, text]]);
});

test('line breaks of Windows are line breaks', () => {
  assert.deepEqual(split('a: 1\r\n---\r\nb: 2\r\n'), [
    [1, 'a: 1\r\n'],
    [2, '---\r\nb: 2\r\n'],
  ]);
});
