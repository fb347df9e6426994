/** The two kinds of documents that a configuration file can hold, and the fields of each. */
import { KEYS, type Key, OPTIONS } from './options.ts';

/** Fields by name: a setting, or fields inside. */
export type FieldTree = ReadonlyMap<string, Key | FieldTree>;

/** A kind of document. */
export interface DocumentKind {
  readonly apiVersion: string;
  readonly kind: string;
  /** The settings it has, in the order of the table. */
  readonly keys: readonly Key[];
  readonly fields: FieldTree;
  /** Unknown fields are a fault; otherwise they are left out with a warning. */
  readonly strict: boolean;
}

/** What kube-proxy reads. */
export const KUBE_PROXY_CONFIG: DocumentKind = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  ...fieldsOf(undefined),
  strict: false,
};

/** What only Switchyard has. */
export const SWITCHYARD_CONFIG: DocumentKind = {
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'SwitchyardConfiguration',
  ...fieldsOf('SwitchyardConfiguration'),
  strict: true,
};

/** All of them. */
export const DOCUMENT_KINDS: readonly DocumentKind[] = [KUBE_PROXY_CONFIG, SWITCHYARD_CONFIG];

type Branch = Map<string, Key | Branch>;

function fieldsOf(
  document: 'SwitchyardConfiguration' | undefined,
): Pick<DocumentKind, 'keys' | 'fields'> {
  const keys = KEYS.filter(
    (key) => OPTIONS[key].field !== undefined && OPTIONS[key].document === document,
  );
  const fields: Branch = new Map();
  for (const key of keys) insert(fields, OPTIONS[key].field?.split('.') ?? [], key);
  return { keys, fields };
}

function insert(into: Branch, [name = '', ...rest]: readonly string[], key: Key): void {
  if (rest.length === 0) {
    into.set(name, key);
    return;
  }
  const known = into.get(name);
  const branch: Branch = known instanceof Map ? known : new Map();
  into.set(name, branch);
  insert(branch, rest, key);
}
