/** Finds the API server the way kube-proxy does. */
import type { AccessOptions, ApiAccess } from './access.ts';
import { inClusterAccess } from './in-cluster.ts';
import { anonymousAccess, kubeconfigAccess } from './kubeconfig.ts';

/** What a user said about the API server; `''` for nothing. */
export interface ServerChoice {
  /** Path of a kubeconfig (`--kubeconfig`, `clientConnection.kubeconfig`). */
  readonly kubeconfig: string;
  /** URL, which counts more than the one in the kubeconfig (`--master`). */
  readonly master: string;
}

/**
 * A kubeconfig, or a URL alone, or the service account of this pod.
 * @throws KubeError CONFIG_MISSING, CONFIG_INVALID, CONFIG_UNSUPPORTED, CREDENTIALS.
 */
export function findAccess(
  { kubeconfig, master }: ServerChoice,
  options: AccessOptions,
): ApiAccess {
  const server = master === '' ? undefined : master;
  if (kubeconfig !== '') return kubeconfigAccess([kubeconfig], options, { server });
  if (server !== undefined) return anonymousAccess(server, options.env);
  return inClusterAccess(options.env, options.clock);
}
