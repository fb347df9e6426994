/** The manifests of deploy/ fit together, and with the program. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Container, PodSpec } from 'kubernetes-types/core/v1.js';
import packageJson from '../../../package.json' with { type: 'json' };
import { loadConfig } from '../../../src/agent/config/load.ts';
import { readKubeconfig } from '../../../src/kube/kubeconfig-files.ts';
import {
  ENDPOINT_SLICES,
  SERVICES,
  SERVICE_CIDRS,
  nodeNamed,
} from '../../../src/kube/resources.ts';
import {
  type Manifest,
  noKustomize,
  only,
  parseYaml,
  readKustomization,
  readManifests,
  readText,
  render,
  root,
} from './manifests.ts';

/** kube-proxy's own command line, as kubeadm writes it. */
const command = [
  '/usr/local/bin/kube-proxy',
  '--config=/var/lib/kube-proxy/config.conf',
  '--hostname-override=$(NODE_NAME)',
];

const base = [...readManifests('base/rbac.yaml'), ...readManifests('base/daemonset.yaml')];
const kubeadm = readManifests('kubeadm/daemonset.yaml');

function podOf(manifests: readonly Manifest[]): PodSpec {
  const pod = only(manifests, 'DaemonSet').spec?.template.spec;
  assert.ok(pod !== undefined);
  return pod;
}

function containersOf(pod: PodSpec): readonly Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

/** The container that serves. */
function proxyOf(pod: PodSpec): Container {
  assert.equal(pod.containers.length, 1);
  const [proxy] = pod.containers;
  assert.ok(proxy !== undefined);
  return proxy;
}

/** The files that a pod finds under a ConfigMap's mount. */
function mountOf(pod: PodSpec, container: Container, configMap: string): string {
  const volume = pod.volumes?.find((candidate) => candidate.configMap?.name === configMap);
  const mount = container.volumeMounts?.find(({ name }) => name === volume?.name);
  assert.ok(mount !== undefined, `${container.name} mounts the ConfigMap ${configMap}`);
  return mount.mountPath;
}

function imagesOf(manifests: readonly Manifest[]): ReadonlySet<string | undefined> {
  return new Set(containersOf(podOf(manifests)).map(({ image }) => image));
}

/** A pod without what differs between a cluster of kubeadm and others. */
function sharedPart(pod: PodSpec): unknown {
  return {
    ...pod,
    serviceAccountName: '',
    initContainers: pod.initContainers?.slice(0, 1),
    containers: [{ ...proxyOf(pod), name: '' }],
    volumes: pod.volumes?.slice(0, 1).map(({ configMap }) => Object.keys(configMap ?? {})),
  };
}

for (const [folder, manifests] of [
  ['base', base],
  ['kubeadm', kubeadm],
] as const) {
  describe(`deploy/${folder}`, () => {
    const pod = podOf(manifests);

    it('runs the command line of kube-proxy, after its privileged part alone', () => {
      const init = pod.initContainers?.[0];
      assert.deepEqual(init?.command, [...command, '--init-only']);
      assert.deepEqual(proxyOf(pod).command, command);
      assert.equal(proxyOf(pod).image, init.image);
    });

    it('serves with no right but NET_ADMIN', () => {
      const { securityContext: rights } = proxyOf(pod);
      assert.deepEqual(rights?.capabilities, { drop: ['ALL'], add: ['NET_ADMIN'] });
      assert.equal(rights.privileged, false);
      assert.equal(rights.allowPrivilegeEscalation, false);
      assert.equal(rights.readOnlyRootFilesystem, true);
      const writable = (proxyOf(pod).volumeMounts ?? []).filter(
        ({ readOnly }) => readOnly !== true,
      );
      const own = ['/run/switchyard', '/var/lib/switchyard'];
      assert.deepEqual(
        writable.map(({ mountPath }) => mountPath),
        own,
      );
      const mounted = proxyOf(pod).volumeMounts?.map(({ name }) => name) ?? [];
      const ofNode = (pod.volumes ?? []).filter(({ name }) => mounted.includes(name));
      assert.deepEqual(
        ofNode.flatMap(({ hostPath }) => hostPath?.path ?? []),
        own,
        'no other folder of the node',
      );
    });

    it('runs on every Linux node, in the network of the node, and looks names up there', () => {
      assert.equal(pod.hostNetwork, true);
      assert.equal(pod.dnsPolicy, 'Default');
      assert.deepEqual(pod.nodeSelector, { 'kubernetes.io/os': 'linux' });
      assert.deepEqual(pod.tolerations, [{ operator: 'Exists' }]);
      assert.equal(pod.priorityClassName, 'system-node-critical');
    });

    it('mounts what it has, and uses only what is mounted or set', () => {
      const volumes = (pod.volumes ?? []).map(({ name }) => name);
      const mounted = new Set<string>();
      for (const { name, env = [], volumeMounts = [], command: words = [] } of containersOf(pod)) {
        for (const mount of volumeMounts) {
          assert.ok(volumes.includes(mount.name), `${name} mounts ${mount.name}`);
          mounted.add(mount.name);
        }
        const variables = words.join(' ').matchAll(/\$\((\w+)\)/g);
        for (const [, variable] of variables) {
          assert.ok(
            env.some((entry) => entry.name === variable),
            `${name} sets ${variable}`,
          );
        }
      }
      assert.deepEqual([...mounted].toSorted(), volumes.toSorted());
    });

    it('is asked for its health where it answers', () => {
      const { livenessProbe, readinessProbe, startupProbe } = proxyOf(pod);
      assert.deepEqual(livenessProbe?.httpGet, { path: '/livez', port: 10_256 });
      assert.deepEqual(readinessProbe?.httpGet, { path: '/healthz', port: 10_256 });
      assert.deepEqual(startupProbe?.httpGet, { path: '/livez', port: 10_256 });
      const { periodSeconds = 0, failureThreshold = 0 } = startupProbe;
      assert.ok(periodSeconds * failureThreshold > 330, 'waits for the node and for its pod CIDRs');
    });

    it('selects the pods it makes', () => {
      const { spec } = only(manifests, 'DaemonSet');
      assert.deepEqual(spec?.selector.matchLabels, spec?.template.metadata?.labels);
    });

    it('takes the image of this version', () => {
      const image = readKustomization(folder).images?.find(
        ({ name }) => name === proxyOf(pod).image,
      );
      assert.equal(image?.newTag, packageJson.version);
    });
  });
}

describe('deploy/base', () => {
  const pod = podOf(base);
  const [generated] = readKustomization('base').configMapGenerator ?? [];

  it('names every manifest in its kustomization', () => {
    const others = readKustomization('base');
    const named = [...others.resources, ...(generated?.files ?? []), 'kustomization.yaml'];
    assert.deepEqual(readdirSync(join(root, 'deploy/base')).toSorted(), named.toSorted());
  });

  it('finds its configuration, and in it the kubeconfig, in the ConfigMap', () => {
    const mount = mountOf(pod, proxyOf(pod), generated?.name ?? '');
    const files = generated?.files.map((file) => `${mount}/${file}`) ?? [];
    assert.ok(files.includes('/var/lib/kube-proxy/config.conf'));
    const [document] = parseYaml(readText('base/config.conf'));
    const { kubeconfig } = (
      document as { readonly clientConnection: { readonly kubeconfig: string } }
    ).clientConnection;
    assert.ok(files.includes(kubeconfig), kubeconfig);
  });

  it('configures nftables mode, without a word that the program does not know', () => {
    const { settings, nodeName, warnings } = loadConfig({
      flags: new Map([
        ['config', '/var/lib/kube-proxy/config.conf'],
        ['hostname-override', 'node-1'],
      ]),
      readFile: () => readText('base/config.conf'),
      hostname: 'pod',
    });
    assert.deepEqual(warnings, []);
    assert.equal(nodeName, 'node-1');
    assert.equal(settings.mode, 'nftables');
    assert.equal(settings.serviceMetrics, 1000);
    assert.match(settings.healthzBindAddress, /:10256$/, 'where the probes ask');
  });

  it('has a kubeconfig that lacks nothing but the address', () => {
    const config = readKubeconfig([join(root, 'deploy/base/kubeconfig.conf')]);
    const account = '/var/run/secrets/kubernetes.io/serviceaccount';
    assert.equal(config.currentContext, 'default');
    assert.deepEqual(config.contexts.get('default')?.value, {
      cluster: 'default',
      user: 'default',
    });
    assert.deepEqual(config.users.get('default')?.value, { tokenFile: `${account}/token` });
    assert.deepEqual(config.clusters.get('default')?.value, {
      server: 'https://control-plane.example:6443',
      'certificate-authority': `${account}/ca.crt`,
    });
  });

  it('binds its ServiceAccount to the role of kube-proxy', () => {
    const account = only(base, 'ServiceAccount').metadata;
    const { subjects, roleRef } = only(base, 'ClusterRoleBinding');
    assert.equal(pod.serviceAccountName, account?.name);
    assert.deepEqual(subjects, [
      { kind: 'ServiceAccount', name: account?.name, namespace: account?.namespace },
    ]);
    assert.equal(only(base, 'DaemonSet').metadata?.namespace, account?.namespace);
    assert.deepEqual(roleRef, {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:node-proxier',
    });
  });

  it('needs no right that this role does not grant', () => {
    // The rules of the role in Kubernetes 1.36 for what is listed and watched.
    const granted = new Set([
      '/api/v1/services',
      '/api/v1/nodes',
      '/apis/discovery.k8s.io/v1/endpointslices',
      '/apis/networking.k8s.io/v1/servicecidrs',
    ]);
    for (const { path } of [SERVICES, ENDPOINT_SLICES, SERVICE_CIDRS, nodeNamed('n')]) {
      assert.ok(granted.has(path), path);
    }
  });

  it('updates a tenth of the nodes at a time', () => {
    assert.deepEqual(only(base, 'DaemonSet').spec?.updateStrategy, {
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: '10%' },
    });
  });
});

describe('deploy/kubeadm', () => {
  const pod = podOf(kubeadm);

  it('takes the place of what kubeadm installed', () => {
    const { metadata, spec } = only(kubeadm, 'DaemonSet');
    assert.equal(metadata?.name, 'kube-proxy');
    assert.equal(metadata.namespace, 'kube-system');
    // A DaemonSet's selector cannot be changed.
    assert.deepEqual(spec?.selector, { matchLabels: { 'k8s-app': 'kube-proxy' } });
    assert.equal(pod.serviceAccountName, 'kube-proxy');
    assert.equal(mountOf(pod, proxyOf(pod), 'kube-proxy'), '/var/lib/kube-proxy');
  });

  it('changes a node over only when somebody deletes its pod', () => {
    assert.deepEqual(only(kubeadm, 'DaemonSet').spec?.updateStrategy, { type: 'OnDelete' });
  });

  it('removes the rules of kube-proxy by its own image, once ours is known to work', () => {
    const [init, cleanup, ...others] = pod.initContainers ?? [];
    assert.deepEqual(others, []);
    assert.equal(init?.name, 'init');
    assert.deepEqual(cleanup?.command, ['/usr/local/bin/kube-proxy', '--cleanup']);
    const images = readKustomization('kubeadm').images ?? [];
    const original = images.find(({ name }) => name === cleanup.image);
    assert.match(original?.newTag ?? '', /^v1\.\d+\.\d+$/);
    assert.notEqual(cleanup.image, init.image);
  });

  it('is the same as deploy/base otherwise', () => {
    assert.deepEqual(sharedPart(pod), sharedPart(podOf(base)));
  });
});

describe('what kustomize makes of deploy/', { skip: noKustomize }, () => {
  const ours = `localhost/switchyard:${packageJson.version}`;

  it('base: all objects, with tagged images and the ConfigMap by its hash', () => {
    const rendered = render('base');
    assert.equal(rendered.length, 4);
    assert.deepEqual(
      new Set(rendered.map(({ kind }) => kind)),
      new Set(['ClusterRoleBinding', 'ConfigMap', 'DaemonSet', 'ServiceAccount']),
    );
    assert.deepEqual(imagesOf(rendered), new Set([ours]));
    const { metadata, data } = only(rendered, 'ConfigMap');
    assert.match(metadata?.name ?? '', /^switchyard-\w+$/);
    assert.equal(metadata?.namespace, 'kube-system');
    assert.equal(data?.['config.conf'], readText('base/config.conf'));
    const pod = podOf(rendered);
    for (const container of containersOf(pod)) mountOf(pod, container, metadata.name ?? '');
  });

  it('one-node: the same, on labelled nodes only', () => {
    const text = JSON.stringify(render('one-node'));
    const label = ',"switchyard.dev/proxy":"true"';
    assert.ok(text.includes(`"nodeSelector":{"kubernetes.io/os":"linux"${label}}`));
    assert.equal(text.replace(label, ''), JSON.stringify(render('base')));
  });

  it('kubeadm: the DaemonSet and nothing else', () => {
    const rendered = render('kubeadm');
    assert.deepEqual(
      rendered.map(({ kind }) => kind),
      ['DaemonSet'],
    );
    assert.deepEqual(imagesOf(rendered), new Set([ours, 'registry.k8s.io/kube-proxy:v1.36.2']));
  });
});

describe('what kustomize makes of deploy/with-iptables', { skip: noKustomize }, () => {
  const image = `localhost/switchyard:${packageJson.version}-iptables`;
  const lock = { path: '/run/xtables.lock', type: 'FileOrCreate' };

  for (const folder of ['base', 'kubeadm']) {
    it(`${folder}: the image with iptables, NET_RAW, the lock of the tables, and nothing else`, () => {
      const rendered = render(`with-iptables/${folder}`);
      const pod = podOf(rendered);
      const before = podOf(render(folder));
      const proxy = proxyOf(pod);
      assert.deepEqual(imagesOf(rendered), new Set([image]));
      assert.deepEqual(proxy.securityContext, {
        ...proxyOf(before).securityContext,
        capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
      });
      const mount = { name: 'iptables-lock', mountPath: lock.path };
      assert.deepEqual(proxy.volumeMounts, [...(proxyOf(before).volumeMounts ?? []), mount]);
      const { name } = mount;
      const volumes = pod.volumes?.filter((volume) => volume.name === name);
      assert.deepEqual(volumes, [{ name, hostPath: lock }]);
      assert.deepEqual(only(rendered, 'DaemonSet').spec?.updateStrategy, { type: 'OnDelete' });
      assert.equal(rendered.length, render(folder).length);
    });

    it(`${folder}: sets sysctls first, and runs no clean-up of kube-proxy, which flushes IPVS`, () => {
      const pod = podOf(render(`with-iptables/${folder}`));
      const [init, ...others] = pod.initContainers ?? [];
      assert.ok(init?.command?.includes('--init-only'));
      assert.equal(init?.securityContext?.privileged, true);
      assert.deepEqual(others, []);
      const used = containersOf(pod).flatMap(({ volumeMounts = [] }) =>
        volumeMounts.map(({ name }) => name),
      );
      const volumes = (pod.volumes ?? []).map(({ name }) => name);
      assert.deepEqual(new Set(volumes), new Set(used), 'no volume is left over');
      const configMap = pod.volumes?.find(({ name }) => name === 'config')?.configMap?.name;
      assert.match(configMap ?? '', folder === 'base' ? /^switchyard-\w+$/ : /-with-iptables$/);
    });
  }
});

describe('docs/install.md', () => {
  it('names only files that are there', () => {
    const text = readFileSync(join(root, 'docs/install.md'), 'utf8');
    const paths = [...text.matchAll(/\bdeploy\/[\w./-]*\w/g)].map(([path]) => path);
    assert.ok(paths.length > 0);
    for (const path of paths) assert.ok(existsSync(join(root, path)), path);
  });
});
