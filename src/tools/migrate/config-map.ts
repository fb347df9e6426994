/** Where kubeadm keeps kube-proxy's configuration: a ConfigMap, in a file or in the cluster. */
import { isFields } from '../../core/decode/fields.ts';
import { KubeError } from '../../kube/errors.ts';
import type { ApiClient } from '../../kube/transport.ts';
import { isScalar, parseDocument } from 'yaml';
import { ToolError } from '../errors.ts';

/** The ConfigMap of kubeadm, and its field with the configuration. */
const NAMESPACE = 'kube-system';
const NAME = 'kube-proxy';
const FIELD = 'config.conf';
const PATH = `/api/v1/namespaces/${NAMESPACE}/configmaps/${NAME}`;

/** A configuration, and how it can be replaced where it came from. */
export interface ConfigHolder {
  /** For people. */
  readonly place: string;
  readonly config: string;
  /** Writes another configuration in its place. */
  readonly replace: (config: string) => Promise<void>;
}

/** A file: `kubectl get configmap -o yaml`, or the configuration itself. `write` takes the whole new file. */
export function holderOfFile(
  path: string,
  text: string,
  write: (text: string) => Promise<void>,
): ConfigHolder {
  const document = parseDocument(text, { prettyErrors: false });
  if (document.errors.length > 0 || document.get('kind') !== 'ConfigMap') {
    return { place: path, config: text, replace: write };
  }
  const node = document.getIn(['data', FIELD], true);
  if (!isScalar(node) || typeof node.value !== 'string') throw withoutField(path);
  return {
    place: `${path}, ${FIELD}`,
    config: node.value,
    replace: async (config) => {
      // Keeps the node, and with it how it is written and its comments.
      node.value = config;
      await write(document.toString({ lineWidth: 0 }));
    },
  };
}

/**
 * Reads the ConfigMap `kube-system/kube-proxy`. Rejects with a KubeError, and with a {@link ToolError} `SY_MIGRATE_UNREADABLE`; to
 * replace it, with `SY_MIGRATE_CHANGED` when somebody else was faster.
 */
export async function holderOfCluster(
  client: ApiClient,
  signal: AbortSignal,
): Promise<ConfigHolder> {
  const place = `ConfigMap ${NAMESPACE}/${NAME} at ${client.server}, ${FIELD}`;
  const answer = await client.request({
    purpose: `read ConfigMap ${NAMESPACE}/${NAME}`,
    method: 'GET',
    path: PATH,
    accept: 'application/json',
    signal,
  });
  const chunks: Buffer[] = [];
  await answer.read((chunk) => chunks.push(chunk));
  const object: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  const { data, metadata } = isFields(object) ? object : {};
  const config = isFields(data) ? data[FIELD] : undefined;
  const resourceVersion = isFields(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof config !== 'string') throw withoutField(place);
  const replace = async (changed: string): Promise<void> => {
    // With the version that was read: what somebody else has written since is not overwritten.
    const patch = { metadata: { resourceVersion }, data: { [FIELD]: changed } };
    try {
      const patched = await client.request({
        purpose: `change ConfigMap ${NAMESPACE}/${NAME}`,
        method: 'PATCH',
        path: PATH,
        accept: 'application/json',
        body: { type: 'application/merge-patch+json', text: JSON.stringify(patch) },
        signal,
      });
      await patched.read(() => undefined);
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 409) throw error;
      throw new ToolError(
        'SY_MIGRATE_CHANGED',
        `${place}: somebody else has changed it meanwhile. Nothing was written; look at the difference again.`,
      );
    }
  };
  return { place, config, replace };
}

function withoutField(place: string): ToolError {
  return new ToolError(
    'SY_MIGRATE_UNREADABLE',
    `Cannot migrate: ${place} has no ${FIELD}. It must be the ConfigMap that kubeadm made.`,
  );
}
