import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_FILE, type ParsedFile, parseFile } from '../../../src/manifests/file.ts';
import { serviceYaml } from '../../lab/manifests.ts';

async function parse(content: string | Uint8Array, previous = EMPTY_FILE): Promise<ParsedFile> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return parseFile(bytes, previous, async () => Promise.resolve());
}

test('lines of problems count from the start of the file', async () => {
  const text = `${serviceYaml({ name: 'a' })}---\n${serviceYaml({ name: 'b', port: 0 })}`;
  const { problems, objects, doubtful } = await parse(text);
  assert.equal(problems[0]?.line, 21);
  assert.deepEqual([...objects.keys()], ['Service shop/a', 'Service shop/b']);
  assert.deepEqual([...doubtful], ['Service shop/b']);
});

test('a document that cannot be read does not hide the others', async () => {
  const text = `${serviceYaml({ name: 'a' })}---\na: "open\n---\n${serviceYaml({ name: 'b' })}`;
  const { problems, objects, unreadable } = await parse(text);
  assert.deepEqual([...objects.keys()], ['Service shop/a', 'Service shop/b']);
  assert.equal(unreadable, true);
  assert.equal(problems.length, 1);
  assert.equal(problems[0]?.line, 12);
});

test('documents whose text did not change keep their very objects, wherever they moved', async () => {
  const a = serviceYaml({ name: 'a' });
  const before = await parse(`---\n${a}---\n${serviceYaml({ name: 'b', clusterIP: '10.96.0.2' })}`);
  const after = await parse(
    `---\n${serviceYaml({ name: 'b', clusterIP: '10.96.0.3' })}---\n${a}`,
    before,
  );
  assert.equal(after.objects.get('Service shop/a'), before.objects.get('Service shop/a'));
  assert.notEqual(after.objects.get('Service shop/b'), before.objects.get('Service shop/b'));
});

test('the same problem has the same key after it moved to another line, and another one after an edit', async () => {
  const bad = serviceYaml({ name: 'a', port: 0 });
  const [first] = (await parse(`---\n${bad}`)).problems;
  const [moved] = (await parse(`# comment\n---\n${serviceYaml({ name: 'b' })}---\n${bad}`))
    .problems;
  const [edited] = (await parse(`---\n${bad}# edited\n`)).problems;
  assert.equal(first?.line, 11);
  assert.equal(moved?.line, 23);
  assert.equal(first.key, moved.key);
  assert.notEqual(first.key, edited?.key);
});

test('the first of two objects with the same name is used', async () => {
  const text = `${serviceYaml({ name: 'a', port: 1 })}---\n${serviceYaml({ name: 'a', port: 2 })}`;
  const { objects, problems } = await parse(text);
  const item = objects.get('Service shop/a');
  assert.ok(item?.kind === 'Service');
  assert.equal(item.object.ports[0]?.port, 1);
  assert.equal(problems.length, 1);
  assert.equal(problems[0]?.line, 12);
  assert.match(problems[0].message, /already in this file/);
});

test('what is no text is refused as a whole, with the line', async () => {
  const binary = await parse(Buffer.from('a: 1\nb: \0\x01\x02\xff', 'latin1'));
  assert.equal(binary.unreadable, true);
  assert.equal(binary.problems[0]?.line, 2);
  const latin = await parse(Buffer.from('a: 1\nb: 2\nc: caf\xe9\n', 'latin1'));
  assert.equal(latin.unreadable, true);
  assert.equal(latin.problems[0]?.line, 3);
  assert.match(latin.problems[0].message, /UTF-8/);
});

test('an empty file, and one with a byte order mark, are fine', async () => {
  assert.deepEqual((await parse('')).problems, []);
  const marked = await parse(`\uFEFF${serviceYaml({ name: 'a' })}`);
  assert.deepEqual([...marked.objects.keys()], ['Service shop/a']);
});

test('a file of 10 MB is read, and others get their turn meanwhile', async () => {
  const documents = Array.from({ length: 200 }, (_, index) =>
    serviceYaml({ name: `s${index}`, port: 1 + index }),
  );
  // Mostly one large text: what takes time is the number of nodes, and that is measured elsewhere.
  const padding = `apiVersion: v1\nkind: ConfigMap\ndata:\n  text: |\n${'    padding\n'.repeat(900_000)}`;
  const text = [...documents, padding].join('---\n');
  assert.ok(text.length > 10 * 2 ** 20);
  let turns = 0;
  const parsed = await parseFile(Buffer.from(text), EMPTY_FILE, async () => {
    turns++;
    return Promise.resolve();
  });
  assert.equal(parsed.objects.size, 200);
  assert.deepEqual([...parsed.ignored], ['v1 ConfigMap']);
  assert.ok(turns > 0);
});
