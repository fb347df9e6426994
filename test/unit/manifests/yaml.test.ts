import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type YamlValue, readDocument } from '../../../src/manifests/yaml.ts';

function read(text: string): YamlValue {
  const result = readDocument(text);
  assert.ok(result.ok, JSON.stringify(result));
  return result.document;
}

function fault(text: string): { readonly line: number; readonly message: string } {
  const result = readDocument(text);
  assert.ok(!result.ok, 'expected an error');
  return result.error;
}

test('words and numbers mean what they mean to the Go tools', () => {
  const { value } = read('a: yes\nb: 0644\nc: 22:22\nd: 2026-11-21T19:00:00Z\ne: ~\nf: 1.5\n');
  assert.deepEqual(value, {
    a: true,
    b: 420,
    c: '22:22',
    d: '2026-11-21T19:00:00Z',
    e: null,
    f: 1.5,
  });
});

test('anchors, aliases and merge keys work', () => {
  const { value } = read('a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  q: 3\n');
  assert.deepEqual(value, { a: { p: 1, q: 2 }, b: { p: 1, q: 2 }, c: { p: 1, q: 3 } });
});

test('a document without content is null', () => {
  for (const text of ['', '\n', '---\n', '# only a comment\n', '--- # comment\n...\n']) {
    assert.equal(read(text).value, null, JSON.stringify(text));
  }
});

test('a tab as indentation is an error with its line', () => {
  const { line, message } = fault('kind: Service\nspec:\n\tports: []\n');
  assert.equal(line, 3);
  assert.match(message, /tab/i);
});

test('a duplicate key is an error with its line, at any depth', () => {
  assert.deepEqual(fault('a: 1\nb: 2\na: 3\n'), { line: 3, message: 'the key a is there twice' });
  assert.deepEqual(fault('a:\n- b: 1\n  c: {d: 1,\n    d: 2}\n'), {
    line: 4,
    message: 'the key d is there twice',
  });
});

test('a duplicate key in JSON is an error too', () => {
  assert.deepEqual(fault('{\n  "a": "b\\": 1",\n  "a": 2\n}\n'), {
    line: 3,
    message: 'the key a is there twice',
  });
});

test('aliases that multiply are refused without being expanded', () => {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let level = 1; level < 20; level++) {
    const all = Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ');
    text += `a${level}: &a${level} [${all}]\n`;
  }
  assert.match(fault(text).message, /alias/i);
});

test('an alias of nothing is an error with its line', () => {
  const { line, message } = fault('a: 1\nb: *nowhere\n');
  assert.equal(line, 2);
  assert.match(message, /nowhere/);
});

test('nesting without end is an error and no crash', () => {
  assert.equal(fault('['.repeat(5000)).message, 'nested too deeply');
  assert.match(fault('{"a":'.repeat(5000)).message, /deep/);
});

test('broken flow and quotes are errors', () => {
  assert.equal(fault('a: [1, 2\nb: 3\n').line, 2);
  assert.equal(fault('a: 1\nb: "open\n').line, 2);
});

const SERVICE = `---
# a comment
metadata:
  labels:
    app.kubernetes.io/name: web
    app: web
spec: &spec
  ports:
  - name: http
    port: 80
  - name: https
    port: x
other: *spec
`;

test('a field path leads to its line', () => {
  const document = read(SERVICE);
  assert.equal(document.lineOf(''), 3);
  assert.equal(document.lineOf('spec'), 7);
  assert.equal(document.lineOf('spec.ports[1].port'), 12);
  assert.equal(document.lineOf('spec.ports[1]'), 11);
  assert.equal(document.lineOf('metadata.labels.app.kubernetes.io/name'), 5);
});

test('a field that is not there leads to the nearest one around it', () => {
  const document = read(SERVICE);
  assert.equal(document.lineOf('spec.ports[0].nodePort'), 9);
  assert.equal(document.lineOf('spec.ports[9].port'), 8);
  assert.equal(document.lineOf('status.loadBalancer'), 3);
});

test('a field behind an alias leads to where it is written', () => {
  assert.equal(read(SERVICE).lineOf('other.ports[1].port'), 12);
});

test('JSON is read, with tabs too, and knows its lines', () => {
  const document = read('\n{\n\t"spec": {\n\t\t"ports": [\n\t\t\t{"port": "x"}\n\t\t]\n\t}\n}\n');
  assert.deepEqual(document.value, { spec: { ports: [{ port: 'x' }] } });
  assert.equal(document.lineOf(''), 2);
  assert.equal(document.lineOf('spec.ports[0].port'), 5);
});

test('the name of a prototype is a key like any other', () => {
  const { value } = read('__proto__: {polluted: true}\n');
  assert.ok(typeof value === 'object' && value !== null);
  assert.ok(!('polluted' in value));
});
