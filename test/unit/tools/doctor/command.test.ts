import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { writeCapture } from '../../../../src/tools/doctor/folder.ts';
import { run } from '../../cli/run.ts';
import { captureOf, cleanNode } from './clean-node.ts';

/** A folder with a capture of a clean node and with other files, which is removed afterwards. */
async function withCapture(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-doctor-'));
  try {
    writeCapture(folder, captureOf(cleanNode()));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('without findings the exit code is 0', async () => {
  await withCapture({}, async (folder) => {
    const { code, stdout, stderr } = await run('doctor', '--from', folder);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^No findings\.\n\nNot looked at:\n {2}cluster: /);
  });
});

test('with findings the exit code is 1, and each says what, why, proof, fix and source', async () => {
  await withCapture({ sysctl: 'net.ipv4.ip_forward = 0' }, async (folder) => {
    const { code, stdout } = await run('doctor', '--from', folder);
    assert.equal(code, 1);
    assert.match(stdout, /^CRITICAL {2}The kernel does not forward IPv4 \(ip-forward-off\)\n/);
    for (const label of ['seen', 'why', 'prove', 'fix', 'source']) {
      assert.match(stdout, new RegExp(`^  ${label} +\\S`, 'm'));
    }
    assert.match(stdout, /\n2 findings: 2 critical\.\n/);
    for (const line of stdout.split('\n').filter((text) => / {2}(?:why|fix) /.test(text))) {
      assert.ok(line.length <= 100, line);
    }
  });
});

test('JSON and YAML are the same document', async () => {
  await withCapture({ sysctl: 'net.ipv4.ip_forward = 0' }, async (folder) => {
    const json = await run('doctor', '--from', folder, '-o', 'json');
    const yaml = await run('doctor', '--from', folder, '-o', 'yaml');
    assert.deepEqual([json.code, yaml.code], [1, 1]);
    const document: unknown = JSON.parse(json.stdout);
    assert.deepEqual(parse(yaml.stdout), document);
  });
});

test('many places of one kind are counted, and all of them are in the document', async () => {
  const services = Array.from({ length: 12 }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: `s${index}` },
    spec: { clusterIP: '10.96.1.1', externalIPs: [`192.0.2.${index}`], ports: [{ port: 80 }] },
  }));
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: services });
  await withCapture({ 'more.json': list }, async (folder) => {
    const table = await run('doctor', '--from', folder);
    assert.match(table.stdout, /shop\/s4: 192\.0\.2\.4\n {10}… and 7 more\n/);
    const json = await run('doctor', '--from', folder, '-o', 'json');
    assert.match(json.stdout, /shop\/s11: 192\.0\.2\.11/);
  });
});

test('a wrong command line, and files that cannot be used, end with exit code 2', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['-o', 'xml'], /Allowed choices are table, json, yaml/],
    [['--from', '/nowhere/at/all'], /SY_CAPTURE_UNUSABLE: .*\/nowhere\/at\/all/],
    [['--objects', '/nowhere/at/all'], /SY_CAPTURE_UNUSABLE: .*\/nowhere\/at\/all/],
    [['--from', '/tmp', '--capture', '/tmp/x'], /cannot be used with option '--capture/],
    [['more'], /too many arguments/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run('doctor', ...args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});
