/** Every manifest of deploy/ has the fields of its kind, of the right types, and no others. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Manifest, readManifests, root } from './manifests.ts';

/** The module of kubernetes-types that has a kind. */
const modules: Readonly<Record<string, string>> = {
  ServiceAccount: 'core/v1',
  DaemonSet: 'apps/v1',
  ClusterRoleBinding: 'rbac/v1',
};

const files = ['base/rbac.yaml', 'base/daemonset.yaml', 'kubeadm/daemonset.yaml'];

/** The manifest as a literal, where the compiler refuses what the type does not have. */
function asTypeScript(manifest: unknown): string {
  const { kind = '' } = manifest as Manifest;
  const module = modules[kind];
  assert.ok(module !== undefined, `${kind} is of a kind that this test knows`);
  return (
    `import type { ${kind} } from 'kubernetes-types/${module}';\n` +
    `export const manifest: Required<Pick<${kind}, 'apiVersion' | 'kind' | 'metadata'>> & ${kind} = ` +
    `${JSON.stringify(manifest, undefined, 2)};\n`
  );
}

describe('manifests', () => {
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-manifests-'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  });

  after(() => rmSync(folder, { recursive: true }));

  function compile(manifests: readonly unknown[]): string {
    const sources = manifests.map((manifest, index) => {
      const source = join(folder, `manifest-${index}.ts`);
      writeFileSync(source, asTypeScript(manifest));
      return source;
    });
    const tsc = join(root, 'node_modules/.bin/tsc');
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--types', '', '--ignoreConfig'];
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [tsc, ...options, '--module', 'esnext', '--moduleResolution', 'bundler', ...sources],
      { cwd: folder, encoding: 'utf8' },
    );
    return stdout + stderr;
  }

  it('have the types that Kubernetes gives their fields', () => {
    assert.equal(compile(files.flatMap(readManifests)), '');
  });

  const selector = '{"matchLabels":{"app.kubernetes.io/name":"switchyard"}}';
  const faults: readonly (readonly [fault: string, from: string, to: string, message: RegExp])[] = [
    ['a misspelt field', '"hostNetwork":', '"hostNetworks":', /'"hostNetworks"' does not exist/],
    ['a text for a boolean', '"hostNetwork":true', '"hostNetwork":"yes"', /'string' is not assign/],
    ['a missing field', `"selector":${selector},`, '', /'selector' is missing/],
    ['another version', '"apps/v1"', '"extensions/v1beta1"', /"apps\/v1"/],
  ];
  for (const [fault, from, to, message] of faults) {
    it(`would be refused with ${fault}`, () => {
      const text = JSON.stringify(readManifests('base/daemonset.yaml')[0]);
      assert.ok(text.includes(from));
      assert.match(compile([JSON.parse(text.replace(from, to))]), message);
    });
  }
});
