import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import { anonymousAccess } from '../../../../src/kube/kubeconfig.ts';
import { Transport } from '../../../../src/kube/transport.ts';
import { startApiServer } from '../../../../src/testing/api-server.ts';
import { objectIn } from '../../../../src/testing/json.ts';
import { holderOfCluster, holderOfFile } from '../../../../src/tools/migrate/config-map.ts';
import { hasCode } from '../has-code.ts';

const CONFIG = 'kind: KubeProxyConfiguration\nmode: ""\n';
const NEW_CONFIG = 'kind: KubeProxyConfiguration\nmode: nftables\n';
const KUBECONFIG = 'kind: Config\n';

/** The ConfigMap of kubeadm. */
function configMap(data: Readonly<Record<string, string>>) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-proxy', namespace: 'kube-system', labels: { app: 'kube-proxy' } },
    data,
  };
}

async function cannotWrite(): Promise<never> {
  return Promise.reject(new Error('nothing was to be written'));
}

describe('the ConfigMap in a file', () => {
  const file = `# kept by hand
apiVersion: v1
data:
  config.conf: |-
    kind: KubeProxyConfiguration
    mode: ""
  kubeconfig.conf: |-
    kind: Config
kind: ConfigMap # of kubeadm
metadata:
  name: kube-proxy
`;

  it('is replaced with all else and its comments', async () => {
    const written: string[] = [];
    const holder = holderOfFile('cm.yaml', file, async (text) => {
      written.push(text);
      return Promise.resolve();
    });
    assert.equal(holder.config, CONFIG.trimEnd());
    await holder.replace(NEW_CONFIG.trimEnd());
    assert.deepEqual(written, [file.replace('mode: ""', 'mode: nftables')]);
  });

  it('may be the configuration itself', async () => {
    const written: string[] = [];
    const holder = holderOfFile('config.conf', CONFIG, async (text) => {
      written.push(text);
      return Promise.resolve();
    });
    assert.equal(holder.config, CONFIG);
    await holder.replace(NEW_CONFIG);
    assert.deepEqual(written, [NEW_CONFIG]);
  });

  it('of something else is refused', () => {
    assert.throws(
      () => holderOfFile('cm.yaml', 'kind: ConfigMap\ndata: {a: b}\n', cannotWrite),
      hasCode('SY_MIGRATE_UNREADABLE', /cm\.yaml has no config\.conf/),
    );
  });
});

describe('the ConfigMap in a cluster', () => {
  const { signal } = new AbortController();
  const data = { 'config.conf': CONFIG, 'kubeconfig.conf': KUBECONFIG };

  it('gets the new configuration, and keeps everything else', async () => {
    await using server = await startApiServer();
    server.apply(configMap(data));
    using client = new Transport(anonymousAccess(server.url, {}), SYSTEM_CLOCK);
    const holder = await holderOfCluster(client, signal);
    assert.equal(holder.config, CONFIG);
    assert.deepEqual(
      server.requests.map(({ method, path }) => `${method} ${path}`),
      ['GET /api/v1/namespaces/kube-system/configmaps/kube-proxy'],
    );
    await holder.replace(NEW_CONFIG);
    const stored = server.get('ConfigMap', 'kube-system', 'kube-proxy') ?? {};
    assert.deepEqual(stored['data'], { ...data, 'config.conf': NEW_CONFIG });
    assert.deepEqual(objectIn(stored, 'metadata')['labels'], { app: 'kube-proxy' });
  });

  it('is not overwritten when somebody else has changed it since', async () => {
    await using server = await startApiServer();
    server.apply(configMap(data));
    using client = new Transport(anonymousAccess(server.url, {}), SYSTEM_CLOCK);
    const holder = await holderOfCluster(client, signal);
    const theirs = { ...data, 'config.conf': `${CONFIG}# theirs\n` };
    server.apply(configMap(theirs));
    await assert.rejects(
      holder.replace(NEW_CONFIG),
      hasCode('SY_MIGRATE_CHANGED', /somebody else has changed it/),
    );
    assert.deepEqual(server.get('ConfigMap', 'kube-system', 'kube-proxy')?.['data'], theirs);
  });

  it('that is missing, or is of somebody else, is an error', async () => {
    await using server = await startApiServer();
    using client = new Transport(anonymousAccess(server.url, {}), SYSTEM_CLOCK);
    await assert.rejects(
      holderOfCluster(client, signal),
      hasCode('SY_KUBE_NOT_FOUND', /ConfigMap kube-system\/kube-proxy/),
    );
    server.apply(configMap({ 'other.conf': CONFIG }));
    await assert.rejects(
      holderOfCluster(client, signal),
      hasCode('SY_MIGRATE_UNREADABLE', /has no config\.conf/),
    );
  });
});
