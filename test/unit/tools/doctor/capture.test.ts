import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { captureMachine } from '../../../../src/tools/doctor/capture-machine.ts';
import { diagnose } from '../../../../src/tools/doctor/diagnose.ts';
import { known, unknown } from '../../../../src/tools/doctor/facts/facts.ts';
import { readCapture, readObjects, writeCapture } from '../../../../src/tools/doctor/folder.ts';
import { readFacts } from '../../../../src/tools/doctor/read-facts.ts';
import { captureOf, cleanNode } from './clean-node.ts';
import { type FakeMachine, fakeMachine } from './fake-machine.ts';
import { PLANTS } from './plants/plants.ts';

const NO_OBJECTS = unknown('none were given');

/** Runs with an empty folder, which is removed afterwards. */
async function withFolder(use: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-doctor-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function textOfAll(folder: string): string {
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
}

const SECRET = 'hunter2';

/** kube-proxy with a configuration file inside of its container, and secrets everywhere. */
const NODE: FakeMachine = {
  files: {
    '/proc/1/comm': 'systemd\n',
    '/proc/900/cmdline': `/usr/local/bin/kube-proxy\0--config=/var/lib/kube-proxy/config.conf\0--master=https://${SECRET}@api\0--token=${SECRET}\0`,
    '/proc/900/environ': `TOKEN=${SECRET}\0`,
    '/proc/901/cmdline': `/usr/bin/keepalived\0--password=${SECRET}\0`,
    '/proc/902/cmdline': `/usr/bin/mysqld\0--password=${SECRET}\0`,
    '/proc/903/cmdline': '/usr/local/bin/kube-proxy\0--proxy-mode=ipvs\0',
    '/proc/900/root/var/lib/kube-proxy/config.conf': `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16
clientConnection:
  kubeconfig: /var/lib/kube-proxy/${SECRET}.conf
`,
    '/etc/cni/net.d/10-calico.conflist': JSON.stringify({
      name: 'k8s',
      plugins: [{ type: 'calico', mtu: 1440, etcd_key: SECRET, kubernetes: { token: SECRET } }],
    }),
    '/etc/cni/net.d/calico-kubeconfig': SECRET,
    '/etc/sysctl.d/10.conf': `# ${SECRET}\nkernel.core_pattern = ${SECRET}\nnet.ipv4.ip_forward = 1\n`,
    '/etc/rc.local': `export TOKEN=${SECRET}\nmodprobe ip_vs ip_vs_rr\n`,
    '/proc/sys/net/ipv4/ip_forward': '0\n',
    '/proc/sys/net/ipv4/conf/eth0.20/rp_filter': '2\n',
    '/proc/config.gz': gzipSync(
      'CONFIG_IP_VS=m\nCONFIG_NF_TABLES=y\n# CONFIG_IP_VS_MH is not set\n',
    ),
  },
  links: {
    '/proc/900/ns/net': 'net:[1]',
    '/proc/901/ns/net': 'net:[1]',
    '/proc/902/ns/net': 'net:[1]',
    '/proc/903/ns/net': 'net:[2]',
    '/proc/self/ns/net': 'net:[1]',
  },
  outputs: { 'nft --version': 'nftables v1.0.9', 'iptables-save': '*nat\nCOMMIT\n' },
  answers: {
    '/proxyMode': 'iptables',
    '/metrics': `rest_client_requests_total{host="${SECRET}"} 1\nkubeproxy_sync_proxy_rules_iptables_restore_failures_total 2\n`,
  },
};

const OBJECTS = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: db, namespace: shop}
  data: {password: ${SECRET}}
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: shop}
  spec: {containers: [{name: web, env: [{name: TOKEN, value: ${SECRET}}]}]}
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
    labels: {owner: ${SECRET}}
    annotations:
      ipvs.scheduler: lc
      kubectl.kubernetes.io/last-applied-configuration: ${SECRET}
  spec: {clusterIP: 10.96.0.10, externalIPs: [192.0.2.7], ports: [{port: 80}], selector: {app: ${SECRET}}}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: kube-proxy, namespace: kube-system}
  data:
    config.conf: |
      apiVersion: kubeproxy.config.k8s.io/v1alpha1
      clientConnection:
        kubeconfig: ${SECRET}
      kind: KubeProxyConfiguration
      mode: ipvs
    kubeconfig.conf: ${SECRET}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: app, namespace: shop}
  data: {password: ${SECRET}}
`;

test('a capture has what rules ask about and no secrets, and gives the same diagnosis', async () => {
  await withFolder(async (folder) => {
    const manifests = join(folder, 'cluster.yaml');
    writeFileSync(manifests, OBJECTS);
    const objects = known(readObjects(manifests));
    rmSync(manifests);
    const capture = await captureMachine(fakeMachine(NODE), objects);
    const before = diagnose(readFacts(capture));
    writeCapture(folder, capture);

    assert.doesNotMatch(textOfAll(folder), new RegExp(SECRET));
    for (const name of readdirSync(folder)) {
      assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
    }
    assert.deepEqual(diagnose(readFacts(readCapture(folder))), before);

    const found = new Map(before.findings.map(({ id, seen }) => [id, seen.join('\n')]));
    assert.match(found.get('config-mode-differs') ?? '', /says ipvs, and it answers iptables/);
    assert.match(found.get('modprobe-without-a') ?? '', /ip_vs ip_vs_rr/);
    assert.match(found.get('sync-failures') ?? '', /is 2/);
    assert.ok(found.has('ip-forward-off'));
    assert.ok(found.has('annotation-ipvs-scheduler'));
    assert.ok(found.has('external-ips'));
    assert.ok(!found.has('two-proxies'), 'the kube-proxy of another network namespace counts not');
  });
});

test('every planted fault is found in a capture that was written and read again', async () => {
  for (const { rule, change } of PLANTS) {
    await withFolder((folder) => {
      writeCapture(folder, captureOf(change(cleanNode())));
      const { findings } = diagnose(readFacts(readCapture(folder)));
      assert.ok(
        findings.some(({ id }) => id === rule),
        rule,
      );
    });
  }
});

test('a folder that was put together by hand will do: names with an ending, YAML, few files', async () => {
  await withFolder((folder) => {
    writeFileSync(join(folder, 'sysctl.txt'), 'kernel.ostype = Linux\nnet.ipv4.ip_forward = 0\n');
    writeFileSync(join(folder, 'services.yml'), OBJECTS);
    writeFileSync(join(folder, 'processes'), '  PID COMMAND\n    1 /sbin/init\n  900 kube-proxy\n');
    const { findings, unknown: unseen } = diagnose(readFacts(readCapture(folder)));
    const ids = findings.map(({ id }) => id);
    assert.deepEqual(ids, [
      'ip-forward-off',
      'external-ips',
      'mode-unset',
      'cluster-cidr-missing',
      'annotation-ipvs-scheduler',
    ]);
    assert.match(
      unseen.find(({ fact }) => fact === 'kernel')?.why ?? '',
      /no file kernel \(uname -r\)/,
    );
  });
});

test('a folder with other things in it is not written to', async () => {
  await withFolder((folder) => {
    writeFileSync(join(folder, 'notes'), 'mine');
    assert.throws(
      () => {
        writeCapture(folder, captureOf(cleanNode()));
      },
      { code: 'SY_CAPTURE_UNUSABLE', message: /not empty/ },
    );
    assert.deepEqual(readdirSync(folder), ['notes']);
  });
});

test('broken objects are an error that names the file', async () => {
  await withFolder((folder) => {
    writeFileSync(join(folder, 'all.json'), '{"kind": "List",');
    const wanted = { code: 'SY_CAPTURE_UNUSABLE', message: /all\.json/ };
    assert.throws(() => readObjects(join(folder, 'all.json')), wanted);
    assert.throws(() => readCapture(folder), wanted);
  });
});

test('nothing is run that would load a kernel module', async () => {
  const ran: string[] = [];
  const capture = await captureMachine(fakeMachine(NODE, ran), NO_OBJECTS);
  assert.ok(ran.includes('nft list chains'));
  for (const line of ran) assert.doesNotMatch(line, /ipset|ipvsadm|legacy|modprobe/);
  assert.deepEqual(capture.texts.get('ipset-list'), known(''));
  assert.deepEqual(capture.texts.get('ipvs'), known(''));
});

test('sets and legacy rules are read where the kernel has them', async () => {
  const ran: string[] = [];
  const files = {
    '/sys/module/ip_set/parameters/max_sets': '0',
    '/proc/net/ip_tables_names': 'nat\n',
    '/proc/net/ip6_tables_names': '',
  };
  await captureMachine(fakeMachine({ files }, ran), NO_OBJECTS);
  assert.ok(ran.includes('ipset list -terse'));
  assert.ok(ran.includes('iptables-legacy-save'));
  assert.ok(!ran.includes('ip6tables-legacy-save'));
});

test('in a container processes are unknown rather than none', async () => {
  const machine = fakeMachine({ files: { '/proc/1/comm': 'bash\n' } });
  const { processes } = readFacts(await captureMachine(machine, NO_OBJECTS));
  assert.ok(!processes.known);
  assert.match(processes.why, /hostPID/);
});

test('without the right to look at the processes of others they are unknown, too', async () => {
  const machine = fakeMachine({ ...NODE, isRoot: false });
  const { processes } = readFacts(await captureMachine(machine, NO_OBJECTS));
  assert.ok(!processes.known);
  assert.match(processes.why, /as root/);
});

test('the state of modules comes from the kernel, its configuration and its folder of modules', async () => {
  const { modules, sysctls } = readFacts(await captureMachine(fakeMachine(NODE), NO_OBJECTS));
  assert.ok(modules.known && sysctls.known);
  assert.equal(modules.value.get('nf_tables'), 'loaded');
  assert.equal(modules.value.get('ip_vs_mh'), 'absent');
  assert.equal(
    modules.value.get('ip_vs'),
    undefined,
    'a module, but there is no folder of modules',
  );
  assert.equal(sysctls.value.get('net.ipv4.conf.eth0/20.rp_filter'), '2');

  const dep = 'kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko.xz\n';
  const files = { '/lib/modules/6.12.30/modules.dep': dep, '/sys/module/ip_vs_rr/refcnt': '1' };
  const other = readFacts(await captureMachine(fakeMachine({ files }), NO_OBJECTS));
  assert.ok(other.modules.known);
  assert.equal(other.modules.value.get('ip_vs'), 'available');
  assert.equal(other.modules.value.get('ip_vs_rr'), 'loaded');
  assert.equal(other.modules.value.get('ip_vs_mh'), 'absent');
});
