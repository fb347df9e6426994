import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { ManifestError } from '../../../src/manifests/errors.ts';
import {
  ManifestSource,
  type ManifestSourceOptions,
  type ManifestUpdate,
} from '../../../src/manifests/source.ts';
import { serviceYaml } from '../../lab/manifests.ts';

/** A folder for one test, and what a source says about it. */
class Desk implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-manifests-'));
  readonly updates: ManifestUpdate[] = [];
  #source: ManifestSource | undefined;
  #wake = (): void => undefined;

  file(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): void {
    writeFileSync(this.file(name), text);
  }

  async open(options: Partial<ManifestSourceOptions> = {}): Promise<void> {
    this.#source = await ManifestSource.open({
      path: this.folder,
      onUpdate: (update) => {
        this.updates.push(update);
        this.#wake();
      },
      ...options,
    });
  }

  /** All changes so far: `+web:80` for a Service in force, `-web` for one that went. */
  changes(): readonly string[] {
    return this.updates.flatMap(({ changes }) =>
      changes.map(({ type, item: { object, kind } }) => {
        if (type === 'remove') return `-${object.name}`;
        return `+${object.name}${kind === 'Service' ? `:${object.ports[0]?.port}` : ''}`;
      }),
    );
  }

  problems(): readonly string[] {
    return this.updates.flatMap(({ problems }) =>
      problems.map(({ file, line, field, message }) => {
        assert.equal(dirname(file), this.folder);
        return `${basename(file)}:${line}:${field}: ${message}`;
      }),
    );
  }

  /** Waits until the changes end with these. */
  async changed(...expected: readonly string[]): Promise<void> {
    await this.#until(
      () => JSON.stringify(this.changes().slice(-expected.length)) === JSON.stringify(expected),
    );
  }

  async complained(about: RegExp): Promise<void> {
    await this.#until(() => this.problems().some((problem) => about.test(problem)));
  }

  [Symbol.dispose](): void {
    this.#source?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

test('everything is there when the source is open', async () => {
  using desk = new Desk();
  desk.write('b.yaml', serviceYaml({ name: 'b' }));
  desk.write('a.yml', serviceYaml({ name: 'a' }));
  desk.write('c.json', '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}\n');
  await desk.open();
  assert.deepEqual(desk.changes().toSorted(), ['+a:80', '+b:80', '+n']);
  assert.deepEqual(desk.problems(), []);
});

test('hidden files, what editors leave behind, other files and subfolders are not read', async () => {
  using desk = new Desk();
  for (const name of ['.a.yaml.swp', '.b.yaml', 'c.yaml~', '#d.yaml#', 'e.yaml.bak', 'README.md'])
    desk.write(name, serviceYaml({ name: 'x' }));
  mkdirSync(desk.file('sub'));
  writeFileSync(desk.file('sub/f.yaml'), serviceYaml({ name: 'x' }));
  desk.write('good.yaml', serviceYaml({ name: 'good' }));
  await desk.open();
  assert.deepEqual(desk.changes(), ['+good:80']);
});

test('a file alone can be the source, and its neighbours are not', async () => {
  using desk = new Desk();
  desk.write('one', serviceYaml({ name: 'one' }));
  desk.write('two.yaml', serviceYaml({ name: 'two' }));
  await desk.open({ path: desk.file('one') });
  assert.deepEqual(desk.changes(), ['+one:80']);
  desk.write('two.yaml', serviceYaml({ name: 'two', port: 81 }));
  desk.write('one', serviceYaml({ name: 'one', port: 82 }));
  await desk.changed('+one:82');
  assert.deepEqual(desk.changes(), ['+one:80', '+one:82']);
});

test('a write in place, a new file and a deleted one are followed', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  await desk.open();
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 81 }));
  await desk.changed('+a:81');
  desk.write('b.yaml', serviceYaml({ name: 'b' }));
  await desk.changed('+b:80');
  rmSync(desk.file('a.yaml'));
  await desk.changed('-a');
});

test('a file replaced by rename is never absent', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  await desk.open();
  // As vim does it: the old file out of the way first.
  renameSync(desk.file('a.yaml'), desk.file('a.yaml~'));
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 81 }));
  await desk.changed('+a:81');
  desk.write('a.tmp', serviceYaml({ name: 'a', port: 82 }));
  renameSync(desk.file('a.tmp'), desk.file('a.yaml'));
  await desk.changed('+a:82');
  assert.deepEqual(desk.changes(), ['+a:80', '+a:81', '+a:82']);
});

test('a file that is truncated before it is written is never empty', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  // Long enough that the truncated file is read, whatever else this machine does.
  await desk.open({ settleMs: 1, confirmMs: 2000 });
  truncateSync(desk.file('a.yaml'));
  const looked = new Promise((resolve) => setTimeout(resolve, 30));
  await looked;
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 81 }));
  await desk.changed('+a:81');
  assert.deepEqual(desk.changes(), ['+a:80', '+a:81']);
});

test('an object that moves to another file is never absent', async () => {
  using desk = new Desk();
  desk.write('a.yaml', `${serviceYaml({ name: 'a' })}---\n${serviceYaml({ name: 'b' })}`);
  await desk.open();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  desk.write('b.yaml', serviceYaml({ name: 'b', port: 81 }));
  await desk.changed('+b:81');
  desk.write('c.yaml', serviceYaml({ name: 'c' }));
  await desk.changed('+c:80');
  assert.ok(!desk.changes().includes('-b'));
});

test('files that point through a replaced link, as in a ConfigMap volume, are followed', async () => {
  using desk = new Desk();
  const version = (number: number): void => {
    const folder = `..v${number}`;
    mkdirSync(desk.file(folder));
    for (const name of ['a', 'b'])
      desk.write(`${folder}/${name}.yaml`, serviceYaml({ name, port: number }));
    symlinkSync(folder, desk.file('..data_tmp'));
    renameSync(desk.file('..data_tmp'), desk.file('..data'));
  };
  version(1);
  // No help from looking again now and then.
  const rescanMs = 3_600_000;
  for (const name of ['a', 'b']) symlinkSync(`..data/${name}.yaml`, desk.file(`${name}.yaml`));
  await desk.open({ rescanMs });
  assert.deepEqual(desk.changes().toSorted(), ['+a:1', '+b:1']);
  version(2);
  await desk.changed('+a:2', '+b:2');
});

test('a broken document is told once with file, line and field, and its last good state stays', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  desk.write('b.yaml', serviceYaml({ name: 'b' }));
  await desk.open();
  const broken = `---\n${serviceYaml({ name: 'a', port: '"x"' })}`;
  desk.write('a.yaml', broken);
  await desk.complained(/^a\.yaml:11:spec\.ports\[0\]\.port: /);
  assert.equal(desk.updates.at(-1)?.problems[0]?.lastGoodStays, true);
  const told = desk.problems();
  // The same fault again, on another line; what else changes in the file counts.
  desk.write('a.yaml', `${serviceYaml({ name: 'c' })}${broken}`);
  await desk.changed('+c:80');
  desk.write('b.yaml', serviceYaml({ name: 'b', port: 81 }));
  await desk.changed('+b:81');
  desk.write('a.yaml', `${serviceYaml({ name: 'c' })}${broken}---\n- another\n`);
  await desk.complained(/another|list/);
  assert.deepEqual(desk.problems().slice(0, -1), told);
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 82 }));
  await desk.changed('+a:82', '-c');
});

test('a file that cannot be read keeps what it said, and others go on', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  await desk.open();
  desk.write('a.yaml', '\0\0\0\0\n');
  await desk.complained(/^a\.yaml:1:: not a text file/);
  truncateSync(desk.file('a.yaml'), 65 * 2 ** 20);
  await desk.complained(/^a\.yaml:undefined:: is 65\.0 MiB, larger than 64 MiB/);
  desk.write('b.yaml', serviceYaml({ name: 'b' }));
  await desk.changed('+b:80');
  assert.deepEqual(desk.changes(), ['+a:80', '+b:80']);
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 81 }));
  await desk.changed('+a:81');
});

test('a kind that is not read is named once for each file', async () => {
  using desk = new Desk();
  const map = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n';
  desk.write('a.yaml', `${map}---\n${map}`);
  await desk.open();
  assert.deepEqual(
    desk.updates.flatMap(({ ignored }) => ignored),
    [{ file: desk.file('a.yaml'), type: 'v1 ConfigMap' }],
  );
  desk.write('a.yaml', `${map}---\n${serviceYaml({ name: 'a' })}`);
  await desk.changed('+a:80');
  assert.equal(desk.updates.flatMap(({ ignored }) => ignored).length, 1);
});

test('the same object in two files is told, and the first file counts', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'x', port: 1 }));
  desk.write('b.yaml', serviceYaml({ name: 'x', port: 2 }));
  await desk.open();
  assert.equal(desk.changes().at(-1), '+x:1');
  assert.ok(!desk.changes().includes('+x:2'));
  assert.deepEqual(desk.problems(), [
    'b.yaml:undefined:: Service shop/x is also in a.yaml, which comes first and is used',
  ]);
  rmSync(desk.file('a.yaml'));
  await desk.changed('+x:2');
});

test('a change whose event was lost is found', async () => {
  using desk = new Desk();
  const target = mkdtempSync(join(tmpdir(), 'switchyard-elsewhere-'));
  try {
    // The watched folder gets no event for what happens behind a link.
    writeFileSync(join(target, 'a.yaml'), serviceYaml({ name: 'a' }));
    symlinkSync(join(target, 'a.yaml'), desk.file('a.yaml'));
    await desk.open({ rescanMs: 20 });
    writeFileSync(join(target, 'a.yaml'), serviceYaml({ name: 'a', port: 81 }));
    await desk.changed('+a:81');
  } finally {
    rmSync(target, { recursive: true });
  }
});

test('a folder that goes away keeps everything, and is followed again when it is back', async () => {
  using desk = new Desk();
  const folder = desk.file('manifests');
  mkdirSync(folder);
  writeFileSync(join(folder, 'a.yaml'), serviceYaml({ name: 'a' }));
  await desk.open({ path: folder, rescanMs: 20 });
  renameSync(folder, desk.file('elsewhere'));
  await desk.complained(/the folder cannot be read \(ENOENT\)/);
  assert.deepEqual(desk.changes(), ['+a:80']);
  mkdirSync(folder);
  writeFileSync(join(folder, 'a.yaml'), serviceYaml({ name: 'a', port: 81 }));
  await desk.changed('+a:81');
  writeFileSync(join(folder, 'a.yaml'), serviceYaml({ name: 'a', port: 82 }));
  await desk.changed('+a:82');
  assert.deepEqual(desk.changes(), ['+a:80', '+a:81', '+a:82']);
});

test('nothing is said after the source is closed', async () => {
  using desk = new Desk();
  desk.write('a.yaml', serviceYaml({ name: 'a' }));
  const updates: ManifestUpdate[] = [];
  const source = await ManifestSource.open({
    path: desk.folder,
    onUpdate: (update) => updates.push(update),
  });
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 81 }));
  source.close();
  await desk.open();
  desk.write('a.yaml', serviceYaml({ name: 'a', port: 82 }));
  await desk.changed('+a:82');
  assert.equal(updates.length, 1);
});

test('a path without anything is an error that says so', async () => {
  using desk = new Desk();
  await assert.rejects(
    ManifestSource.open({ path: desk.file('nowhere'), onUpdate: () => undefined }),
    (error) => {
      assert.ok(error instanceof ManifestError);
      assert.equal(error.code, 'SY_MANIFESTS_MISSING');
      assert.match(error.message, /nowhere.*--manifests/);
      return true;
    },
  );
});
