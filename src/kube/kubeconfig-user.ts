/** From a user of a kubeconfig to credentials. */
import { type AccessOptions, type Credentials, type Source, fixed } from './access.ts';
import { type CredentialSources, sourceCredentials } from './credentials.ts';
import { type ExecClusterInfo, ExecPlugin } from './exec-plugin.ts';
import {
  type Defined,
  type KubeconfigExec,
  type KubeconfigUser,
  decodeBase64,
  invalidConfig,
  relativeTo,
  unsupportedConfig,
} from './kubeconfig-files.ts';
import { RereadFile } from './reread-file.ts';

const EXEC_VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/**
 * Credentials of a user. `info` tells about the cluster, for commands that ask.
 * @throws KubeError CONFIG_INVALID, CONFIG_UNSUPPORTED.
 */
export function readUser(
  { value: user, file }: Defined<KubeconfigUser>,
  info: () => ExecClusterInfo,
  options: AccessOptions,
): Credentials {
  if (user['auth-provider']) {
    const reason = `the auth-provider ${user['auth-provider'].name} is not supported`;
    throw unsupportedConfig(file, reason, 'Use exec, a token or a certificate');
  }
  if (user.as) throw unsupportedConfig(file, 'impersonation (as) is not supported', 'Remove it');
  if (user.exec) return execPlugin(user.exec, file, info, options);
  const from = (path: string, what: string, fallback?: string): Source =>
    new RereadFile(relativeTo(file, path), options.clock, { what, fallback });
  const pem = (name: 'client-certificate' | 'client-key'): Source | undefined => {
    const data = user[`${name}-data`];
    if (data) return fixed(decodeBase64(data));
    const path = user[name];
    return path ? from(path, `the ${name}`) : undefined;
  };
  const sources: CredentialSources = {
    token: user.tokenFile
      ? from(user.tokenFile, 'the token', user.token ?? undefined)
      : user.token
        ? fixed(user.token)
        : undefined,
    basic: user.username ? { username: user.username, password: user.password ?? '' } : undefined,
    cert: pem('client-certificate'),
    key: pem('client-key'),
  };
  if ((sources.cert === undefined) !== (sources.key === undefined)) {
    const reason = 'a user has only one of client-certificate and client-key';
    throw invalidConfig(file, reason, 'Add the other');
  }
  return sourceCredentials(sources);
}

function execPlugin(
  exec: KubeconfigExec,
  file: string,
  info: () => ExecClusterInfo,
  { env, wallTime }: AccessOptions,
): Credentials {
  const apiVersion = exec.apiVersion ?? '';
  if (!EXEC_VERSIONS.includes(apiVersion)) {
    const reason = `exec has the apiVersion "${apiVersion}"`;
    throw unsupportedConfig(file, reason, `Use ${EXEC_VERSIONS.join(' or ')}`);
  }
  if (exec.interactiveMode === 'Always') {
    const reason = `the command ${exec.command} wants to talk to a user (interactiveMode Always)`;
    throw unsupportedConfig(file, reason, 'Use credentials that need nobody');
  }
  // A name without a slash is looked up in PATH, as in a shell.
  const isPath = exec.command.includes('/');
  return new ExecPlugin({
    command: isPath ? relativeTo(file, exec.command) : exec.command,
    args: exec.args ?? [],
    variables: Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value])),
    apiVersion,
    installHint: exec.installHint ?? undefined,
    cluster: exec.provideClusterInfo === true ? info() : undefined,
    env,
    wallTime,
  });
}
