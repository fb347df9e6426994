/** Reads and merges kubeconfig files (client-go, tools/clientcmd). */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod/mini';
import type { Environment } from './access.ts';
import { KubeError, type KubeErrorCode } from './errors.ts';

const text = z.string('must be text');
const flag = z.nullish(z.boolean('must be true or false'));
const optional = z.nullish(text);
const list = <T extends z.core.$ZodType>(item: T) => z.nullish(z.array(item, 'must be a list'));
const object = <T extends z.core.$ZodLooseShape>(shape: T) => z.object(shape, 'must be an object');

const CLUSTER = object({
  server: optional,
  'certificate-authority': optional,
  'certificate-authority-data': optional,
  'insecure-skip-tls-verify': flag,
  'tls-server-name': optional,
  'proxy-url': optional,
  extensions: list(object({ name: text, extension: z.unknown() })),
});

const EXEC = object({
  apiVersion: optional,
  command: text,
  args: list(text),
  env: list(object({ name: text, value: text })),
  installHint: optional,
  interactiveMode: optional,
  provideClusterInfo: flag,
});

const USER = object({
  'client-certificate': optional,
  'client-certificate-data': optional,
  'client-key': optional,
  'client-key-data': optional,
  token: optional,
  tokenFile: optional,
  username: optional,
  password: optional,
  exec: z.nullish(EXEC),
  'auth-provider': z.nullish(object({ name: text })),
  as: optional,
});

const CONTEXT = object({ cluster: optional, user: optional });

const FILE = object({
  apiVersion: z.nullish(z.literal('v1', 'must be v1')),
  kind: z.nullish(z.literal('Config', 'must be Config')),
  'current-context': optional,
  clusters: list(object({ name: text, cluster: CLUSTER })),
  users: list(object({ name: text, user: USER })),
  contexts: list(object({ name: text, context: CONTEXT })),
});

/** A cluster, as it is written. */
export type KubeconfigCluster = z.infer<typeof CLUSTER>;
/** A user, as it is written. */
export type KubeconfigUser = z.infer<typeof USER>;
/** A user's command, as it is written. */
export type KubeconfigExec = z.infer<typeof EXEC>;

/** Something a file defines. Paths in `value` are relative to the folder of `file`. */
export interface Defined<T> {
  readonly value: T;
  readonly file: string;
}

/** What some files say together: of two that define the same name, the first counts. */
export interface Kubeconfig {
  /** The files, for messages. */
  readonly name: string;
  readonly currentContext: string;
  readonly clusters: ReadonlyMap<string, Defined<KubeconfigCluster>>;
  readonly users: ReadonlyMap<string, Defined<KubeconfigUser>>;
  readonly contexts: ReadonlyMap<string, Defined<z.infer<typeof CONTEXT>>>;
}

/** Files that `$KUBECONFIG` names, or the one every user has. They need not exist. */
export function kubeconfigPaths(env: Environment): readonly string[] {
  const paths = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  return paths.length > 0 ? paths : [join(env['HOME'] ?? homedir(), '.kube', 'config')];
}

/**
 * Reads the files in order. Files that do not exist are passed over, as long as there is one.
 * @throws KubeError CONFIG_MISSING: there is none. CONFIG_INVALID: one cannot be read.
 */
export function readKubeconfig(paths: readonly string[]): Kubeconfig {
  const clusters = new Map<string, Defined<KubeconfigCluster>>();
  const users = new Map<string, Defined<KubeconfigUser>>();
  const contexts = new Map<string, Defined<z.infer<typeof CONTEXT>>>();
  let currentContext = '';
  let found = 0;
  for (const path of paths) {
    const content = readFile(path);
    if (content === undefined) continue;
    found++;
    currentContext ||= content['current-context'] ?? '';
    for (const { name, cluster } of content.clusters ?? []) define(clusters, name, cluster, path);
    for (const { name, user } of content.users ?? []) define(users, name, user, path);
    for (const { name, context } of content.contexts ?? []) define(contexts, name, context, path);
  }
  const name = paths.join(delimiter);
  if (found === 0) {
    const message = `There is no kubeconfig ${name}. Correct the path, or write the file.`;
    throw new KubeError('SY_KUBE_CONFIG_MISSING', message);
  }
  return { name, currentContext, clusters, users, contexts };
}

/** A path that a file names, seen from that file. */
export function relativeTo(file: string, path: string): string {
  return resolve(dirname(file), path);
}

/** The text of a `…-data` field. */
export function decodeBase64(data: string): string {
  return Buffer.from(data, 'base64').toString('utf8');
}

/** Something in a kubeconfig is wrong. `advice` says what to do, without a full stop. */
export function invalidConfig(file: string, reason: string, advice: string): KubeError {
  return problem('SY_KUBE_CONFIG_INVALID', file, reason, advice);
}

/** Something in a kubeconfig is right, but not for this client. */
export function unsupportedConfig(file: string, reason: string, advice: string): KubeError {
  return problem('SY_KUBE_CONFIG_UNSUPPORTED', file, reason, advice);
}

function problem(code: KubeErrorCode, file: string, reason: string, advice: string): KubeError {
  return new KubeError(code, `Cannot use the kubeconfig ${file}: ${reason}. ${advice}.`);
}

function define<T>(into: Map<string, Defined<T>>, name: string, value: T, file: string): void {
  if (!into.has(name)) into.set(name, { value, file });
}

function readFile(path: string): z.infer<typeof FILE> | undefined {
  let content: unknown;
  try {
    // Version 1.1, as the Go tools read it.
    content = parse(readFileSync(path, 'utf8'), { version: '1.1', logLevel: 'error' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw invalidConfig(
      path,
      error instanceof Error ? firstLine(error.message) : String(error),
      'Correct the file',
    );
  }
  // An empty file defines nothing, as for kubectl.
  const result = FILE.safeParse(content ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue?.path.map(String).join('.') ?? '';
  const reason = `${place === '' ? 'the file' : place} ${issue?.message ?? 'is wrong'}`;
  throw invalidConfig(path, reason, 'Correct the file');
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/[.:]$/, '') ?? '';
}
