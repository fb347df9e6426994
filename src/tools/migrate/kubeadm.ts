/** The document for `kubeadm init`. */
import { stringify } from 'yaml';
import { KUBE_PROXY_CONFIG } from '../../agent/config/document-kinds.ts';
import type { PlaneMode } from '../../agent/config/option.ts';

const HEADER = `# For \`kubeadm init --config FILE\`: a document of its own, behind the ClusterConfiguration in FILE and not inside of
# it. A cluster that is there has its configuration in the ConfigMap kube-system/kube-proxy.
---
`;

/** A KubeProxyConfiguration as a further document of kubeadm's file. `config`: the one to take, if not the smallest one. */
export function kubeadmDocument(mode: PlaneMode, config: string | undefined): string {
  const { apiVersion, kind } = KUBE_PROXY_CONFIG;
  return HEADER + (config ?? stringify({ apiVersion, kind, mode }));
}
