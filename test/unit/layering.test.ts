/** The floors of src (CONTRIBUTING.md), checked on the linter's own configuration. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

const root = join(import.meta.dirname, '../..');

/** Each floor with the floors it may import, besides itself. */
const floors: Readonly<Record<string, readonly string[]>> = {
  core: [],
  kernel: ['core'],
  kube: ['core'],
  manifests: ['core'],
  testing: ['core'],
  planes: ['core', 'kernel'],
  agent: ['core', 'kernel', 'kube', 'manifests', 'planes'],
  tools: ['core', 'kernel', 'kube', 'manifests', 'planes', 'agent'],
  cli: ['core', 'kernel', 'kube', 'manifests', 'planes', 'agent', 'tools'],
};

/** Each floor that may not import everything with examples of what it may and what it may not. */
const modules: Readonly<
  Record<string, Readonly<Record<'allowed' | 'refused', readonly string[]>>>
> = {
  core: { allowed: [], refused: ['node:fs', 'node:crypto', 'koffi', 'yaml'] },
  kernel: { allowed: ['node:fs'], refused: ['koffi', 'yaml', 'commander'] },
  kube: { allowed: ['node:https', 'yaml'], refused: ['koffi'] },
  manifests: { allowed: ['node:fs', 'yaml'], refused: ['koffi'] },
  testing: { allowed: ['node:http'], refused: ['koffi'] },
  planes: { allowed: ['node:events'], refused: ['koffi', 'yaml'] },
  agent: { allowed: ['node:fs', 'zod'], refused: ['koffi'] },
  tools: { allowed: ['node:fs', 'yaml'], refused: ['koffi'] },
  cli: { allowed: ['node:process', 'commander'], refused: ['koffi'] },
};

/** Expressions that core may not contain: clock, randomness, timers and the outside world. */
const impure = [
  'Date.now()',
  'new Date()',
  'performance.now()',
  'Math.random()',
  'crypto.randomUUID()',
  'process.env',
  'setTimeout(() => {}, 1)',
  'setInterval(() => {}, 1)',
  'setImmediate(() => {})',
  'queueMicrotask(() => {})',
  "fetch('http://localhost')",
  "Buffer.from('')",
  'globalThis.Date',
];

interface Source {
  readonly path: string;
  readonly text: string;
}

/** Lints the sources under the project's configuration and returns the paths that were refused. */
async function lint(folder: string, sources: readonly Source[]): Promise<ReadonlySet<string>> {
  await cp(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  for (const { path, text } of sources) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const restrictions = ['imports', 'globals', 'properties'].map((what) => `no-restricted-${what}`);
  const output = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      [join(root, 'node_modules/.bin/oxlint'), '--format=unix', 'src'],
      { cwd: folder, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout) => {
        // The exit code is 1 where something was refused, which is what most sources are here for.
        if (error !== null && error.code !== 1) reject(error);
        else resolve(stdout);
      },
    );
  });
  const refused = output.split('\n').filter((line) => restrictions.some((r) => line.includes(r)));
  return new Set(refused.map((line) => line.slice(0, line.indexOf(':'))));
}

const importOf = (from: string, to: string): Source => ({
  path: `src/${from}/imports-${to.replaceAll(/[^a-z]/g, '-')}.ts`,
  text: `export { x } from '${to in floors ? `../${to}/x.ts` : to}';\n`,
});
const deepImportOf = (from: string, to: string): Source => ({
  path: `src/${from}/part/imports-${to}.ts`,
  text: `import type { X } from '../../${to}/part/x.ts';\nexport type Y = X;\n`,
});
const lazyImportOf = (from: string, to: string): Source => ({
  path: `src/${from}/lazily-imports-${to}.ts`,
  text: `export const x = async () => await import('../${to}/x.ts');\n`,
});
const impureSource = (floor: string, index: number): Source => ({
  path: `src/${floor}/impure-${index}.ts`,
  text: `export const x = () => ${impure[index] ?? ''};\n`,
});

describe('floors of src', () => {
  let folder = '';
  let refused: ReadonlySet<string> = new Set();

  const names = Object.keys(floors);
  const pairs = names.flatMap((from) => names.map((to) => ({ from, to })));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-layering-'));
    refused = await lint(folder, [
      ...pairs.flatMap(({ from, to }) => [
        importOf(from, to),
        deepImportOf(from, to),
        lazyImportOf(from, to),
      ]),
      ...Object.entries(modules).flatMap(([floor, { allowed, refused: not }]) =>
        [...allowed, ...not].map((name) => importOf(floor, name)),
      ),
      ...impure.flatMap((_, index) => [impureSource('core', index), impureSource('agent', index)]),
    ]);
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('are all the folders of src', async () => {
    const entries = await readdir(join(root, 'src'));
    assert.deepEqual(
      entries.filter((entry) => !names.includes(entry)),
      [],
    );
  });

  for (const { from, to } of pairs) {
    if (from === to) continue;
    const allowed = floors[from]?.includes(to) === true;
    it(`${from} ${allowed ? 'may' : 'may not'} import ${to}`, () => {
      for (const source of [importOf(from, to), deepImportOf(from, to), lazyImportOf(from, to)]) {
        assert.equal(refused.has(source.path), !allowed, source.text);
      }
    });
  }

  for (const [floor, { allowed, refused: not }] of Object.entries(modules)) {
    it(`${floor} imports only the modules and packages it is meant to`, () => {
      for (const name of allowed) assert.ok(!refused.has(importOf(floor, name).path), name);
      for (const name of not) assert.ok(refused.has(importOf(floor, name).path), name);
    });
  }

  it('keep clock, randomness, timers and I/O out of core, and only out of core', () => {
    for (const [index, expression] of impure.entries()) {
      assert.ok(refused.has(impureSource('core', index).path), expression);
      assert.ok(!refused.has(impureSource('agent', index).path), expression);
    }
  });
});
