/** The manifests of deploy/, as values. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonSet } from 'kubernetes-types/apps/v1.js';
import type { ConfigMap, ServiceAccount } from 'kubernetes-types/core/v1.js';
import type { ClusterRoleBinding } from 'kubernetes-types/rbac/v1.js';
import { parseAllDocuments } from 'yaml';

export const root = join(import.meta.dirname, '../../..');

/** What deploy/ is made of. `types.test.ts` proves that each document is of its type. */
export type Manifest = DaemonSet | ConfigMap | ServiceAccount | ClusterRoleBinding;

/** Parts of a kustomization that are read here. */
export interface Kustomization {
  readonly resources: readonly string[];
  readonly images?: readonly { readonly name: string; readonly newTag: string }[];
  readonly configMapGenerator?: readonly {
    readonly name: string;
    readonly files: readonly string[];
  }[];
}

/** The documents of YAML text; fails on anything that is not quite YAML, such as a field given twice. */
export function parseYaml(text: string): readonly unknown[] {
  return [...parseAllDocuments(text)].map((document) => {
    const problem = [...document.errors, ...document.warnings][0];
    if (problem !== undefined) throw problem;
    return document.toJS() as unknown;
  });
}

export function readText(path: string): string {
  return readFileSync(join(root, 'deploy', path), 'utf8');
}

export function readManifests(path: string): readonly Manifest[] {
  return parseYaml(readText(path)) as readonly Manifest[];
}

export function readKustomization(name: string): Kustomization {
  return parseYaml(readText(`${name}/kustomization.yaml`))[0] as Kustomization;
}

/** Why what kustomize makes of a folder cannot be looked at here, if it cannot. */
export const noKustomize =
  spawnSync('kubectl', ['kustomize', '--help']).status === 0 ? false : 'needs kubectl';

/** What would be sent to the cluster. */
export function render(name: string): readonly Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', join(root, 'deploy', name)], {
    encoding: 'utf8',
  });
  return parseYaml(text) as readonly Manifest[];
}

/** The only document of its kind. */
export function only<K extends Manifest['kind']>(
  manifests: readonly Manifest[],
  kind: K,
): Extract<Manifest, { kind?: K }> {
  const [found, ...others] = manifests.filter(
    (manifest): manifest is Extract<Manifest, { kind?: K }> => manifest.kind === kind,
  );
  if (found === undefined || others.length > 0) throw new Error(`not exactly one ${kind}`);
  return found;
}
