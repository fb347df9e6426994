/** Access of a pod to the API server of its own cluster, by its service account. */
import { join } from 'node:path';
import type { ApiAccess, Environment } from './access.ts';
import type { Clock } from '../core/clock.ts';
import { sourceCredentials } from './credentials.ts';
import { KubeError } from './errors.ts';
import { RereadFile } from './reread-file.ts';

/** Where the kubelet mounts the service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Reads `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`; token and CA are files in `folder`, read
 * again each minute.
 * @throws KubeError CONFIG_MISSING: this is no pod. CONFIG_INVALID: the variables make no URL.
 */
export function inClusterAccess(
  env: Environment,
  clock: Pick<Clock, 'now'>,
  folder = SERVICE_ACCOUNT,
): ApiAccess {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host === '' || port === '') {
    const message =
      'Cannot find the API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this' +
      ' is no pod of a cluster. Name a kubeconfig with --kubeconfig or in clientConnection.kubeconfig.';
    throw new KubeError('SY_KUBE_CONFIG_MISSING', message);
  }
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(url)) {
    const message = `KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make ${url}, which is no URL. Unset or correct them.`;
    throw new KubeError('SY_KUBE_CONFIG_INVALID', message);
  }
  return {
    server: new URL(url),
    ca: new RereadFile(join(folder, 'ca.crt'), clock, { what: 'the cluster’s CA' }),
    serverName: undefined,
    insecure: false,
    credentials: sourceCredentials({
      token: new RereadFile(join(folder, 'token'), clock, { what: 'the service account’s token' }),
    }),
    proxyEnv: env,
  };
}
