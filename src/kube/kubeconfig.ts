/** From a kubeconfig to access: one context's cluster and user. */
import { X509Certificate } from 'node:crypto';
import {
  type AccessOptions,
  type ApiAccess,
  type Environment,
  type Source,
  fixed,
} from './access.ts';
import { sourceCredentials } from './credentials.ts';
import type { ExecClusterInfo } from './exec-plugin.ts';
import {
  type Defined,
  type Kubeconfig,
  type KubeconfigCluster,
  type KubeconfigUser,
  decodeBase64,
  invalidConfig,
  readKubeconfig,
  relativeTo,
  unsupportedConfig,
} from './kubeconfig-files.ts';
import { readUser } from './kubeconfig-user.ts';
import { RereadFile } from './reread-file.ts';

/** What may be said instead of what the files say. */
export interface KubeconfigOverrides {
  /** Name of a context; otherwise `current-context`. */
  readonly context?: string | undefined;
  /** URL of the server (`--master`). */
  readonly server?: string | undefined;
}

/** Extension of a cluster that a plugin gets as `config`. */
const EXEC_EXTENSION = 'client.authentication.k8s.io/exec';

/**
 * Access as one or more kubeconfig files describe it; of two that define the same name the first counts.
 * @throws KubeError CONFIG_MISSING, CONFIG_INVALID, CONFIG_UNSUPPORTED, CREDENTIALS.
 */
export function kubeconfigAccess(
  paths: readonly string[],
  options: AccessOptions,
  overrides: KubeconfigOverrides = {},
): ApiAccess {
  const config = readKubeconfig(paths);
  const { cluster, user } = choose(config, overrides.context ?? config.currentContext);
  const server = serverUrl(overrides.server ?? cluster.value.server ?? '', cluster.file);
  const ca = caSource(cluster, options);
  const insecure = cluster.value['insecure-skip-tls-verify'] ?? false;
  if (insecure && ca !== undefined) {
    const reason = 'a cluster has both insecure-skip-tls-verify and a certificate-authority';
    throw invalidConfig(cluster.file, reason, 'Remove one of them');
  }
  const info = (): ExecClusterInfo => clusterInfo(cluster.value, server, ca);
  return {
    server,
    ca,
    serverName: cluster.value['tls-server-name'] ?? undefined,
    insecure,
    credentials: user === undefined ? sourceCredentials({}) : readUser(user, info, options),
    proxyEnv: readProxy(cluster, options.env),
  };
}

/**
 * Access to a server that only a URL is known of (`--master` alone): no credentials.
 * @throws KubeError CONFIG_INVALID.
 */
export function anonymousAccess(server: string, env: Environment): ApiAccess {
  return {
    server: serverUrl(server, '--master'),
    ca: undefined,
    serverName: undefined,
    insecure: false,
    credentials: sourceCredentials({}),
    proxyEnv: env,
  };
}

function choose(
  config: Kubeconfig,
  name: string,
): {
  readonly cluster: Defined<KubeconfigCluster>;
  readonly user: Defined<KubeconfigUser> | undefined;
} {
  const known = [...config.contexts.keys()].join(', ') || 'none';
  if (name === '') {
    throw invalidConfig(config.name, 'it names no current-context', `Name one (there is ${known})`);
  }
  const context = config.contexts.get(name);
  if (context === undefined) {
    throw invalidConfig(
      config.name,
      `there is no context ${name}`,
      `Name one that is there (${known})`,
    );
  }
  const clusterName = context.value.cluster ?? '';
  const cluster = config.clusters.get(clusterName);
  if (cluster === undefined) {
    const reason = `the context ${name} names the cluster "${clusterName}", which is not there`;
    throw invalidConfig(config.name, reason, 'Add or correct it');
  }
  const userName = context.value.user ?? '';
  const user = config.users.get(userName);
  if (user === undefined && userName !== '') {
    const reason = `the context ${name} names the user "${userName}", who is not there`;
    throw invalidConfig(config.name, reason, 'Add or correct it');
  }
  return { cluster, user };
}

function serverUrl(text: string, file: string): URL {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (text === '' || url === null || !['https:', 'http:'].includes(url.protocol)) {
    const reason = `the server "${text}" is no http or https URL`;
    throw invalidConfig(file, reason, 'Write it like https://10.0.0.1:6443');
  }
  return url;
}

function caSource(
  { value, file }: Defined<KubeconfigCluster>,
  { clock }: AccessOptions,
): Source | undefined {
  const data = value['certificate-authority-data'];
  if (data) {
    const pem = decodeBase64(data);
    if (!isCertificate(pem)) {
      const reason = 'certificate-authority-data is no certificate in base64';
      throw invalidConfig(file, reason, 'Write it anew');
    }
    return fixed(pem);
  }
  const path = value['certificate-authority'];
  if (!path) return undefined;
  return new RereadFile(relativeTo(file, path), clock, { what: 'the cluster’s CA' });
}

/** The cluster in the words of client.authentication.k8s.io. */
function clusterInfo(
  cluster: KubeconfigCluster,
  server: URL,
  ca: Source | undefined,
): ExecClusterInfo {
  const extension = cluster.extensions?.find(({ name }) => name === EXEC_EXTENSION);
  return {
    server: server.href,
    'tls-server-name': cluster['tls-server-name'] ?? undefined,
    'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'] ?? undefined,
    'certificate-authority-data': ca && Buffer.from(ca.read()).toString('base64'),
    'proxy-url': cluster['proxy-url'] ?? undefined,
    config: extension?.extension,
  };
}

function readProxy(
  { value, file }: Defined<KubeconfigCluster>,
  env: Environment,
): ApiAccess['proxyEnv'] {
  const text = value['proxy-url'];
  if (!text) return env;
  const url = URL.parse(text);
  if (url?.protocol === 'http:') return { HTTPS_PROXY: text, HTTP_PROXY: text };
  const reason = `the proxy-url "${url === null ? text : `${url.protocol}//…`}" is not supported`;
  throw unsupportedConfig(file, reason, 'Use an http proxy like http://10.0.0.1:3128');
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
