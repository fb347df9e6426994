import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ApiAccess } from '../../../src/kube/access.ts';
import { findAccess } from '../../../src/kube/connect.ts';
import { anonymousAccess, kubeconfigAccess } from '../../../src/kube/kubeconfig.ts';
import { kubeconfigPaths } from '../../../src/kube/kubeconfig-files.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import { FakeClock } from '../agent/fakes.ts';

const { certificate: CA } = createAuthority();
const base64 = (text: string): string => Buffer.from(text).toString('base64');

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-kubeconfig-'));
});
after(async () => rm(folder, { recursive: true }));

/** Writes a file into the folder of the tests. */
async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const options = {
  env: { HOME: '/root', HTTPS_PROXY: 'http://proxy' },
  clock: new FakeClock(),
  wallTime: () => 0,
};

function load(...paths: readonly string[]): ApiAccess {
  return kubeconfigAccess(paths, options);
}

/** A kubeconfig with one context of this cluster and user. */
function config(cluster: object, user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
    preferences: { colors: true },
  });
}

describe('a kubeconfig', () => {
  it('as kubeadm writes it for kube-proxy gives server, CA file and token file', async () => {
    await mkdir(join(folder, 'secrets'));
    await write('secrets/ca.crt', CA);
    await write('secrets/token', 'abc\n');
    const access = load(
      await write(
        'kubeconfig.conf',
        `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: secrets/ca.crt
    server: https://10.0.0.1:6443
  name: default
contexts:
- context: {cluster: default, namespace: default, user: default}
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: ${folder}/secrets/token
`,
      ),
    );
    assert.equal(access.server.href, 'https://10.0.0.1:6443/');
    assert.equal(access.ca?.read(), CA);
    assert.equal(access.serverName, undefined);
    assert.equal(access.insecure, false);
    assert.deepEqual(await access.credentials.identity(), {
      authorization: 'Bearer abc',
      cert: undefined,
      key: undefined,
    });
    assert.equal(access.proxyEnv, options.env);
  });

  it('can hold everything itself', async () => {
    const cluster = {
      'certificate-authority-data': base64(CA),
      'tls-server-name': 'kubernetes',
      'proxy-url': 'http://10.0.0.9:3128',
    };
    const user = { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') };
    const access = load(await write('inline', config(cluster, user)));
    assert.equal(access.ca?.read(), CA);
    assert.equal(access.serverName, 'kubernetes');
    assert.deepEqual(access.proxyEnv, {
      HTTPS_PROXY: 'http://10.0.0.9:3128',
      HTTP_PROXY: 'http://10.0.0.9:3128',
    });
    assert.deepEqual(await access.credentials.identity(), {
      authorization: undefined,
      cert: 'CERT',
      key: 'KEY',
    });
  });

  it('can ask for no verification, for a password, and for nobody', async () => {
    const insecure = load(
      await write(
        'password',
        config({ 'insecure-skip-tls-verify': true }, { username: 'me', password: 'pw' }),
      ),
    );
    assert.equal(insecure.insecure, true);
    assert.equal((await insecure.credentials.identity()).authorization, `Basic ${base64('me:pw')}`);
    const nobody = JSON.parse(config({}, {})) as { contexts: { context: { user?: string } }[] };
    delete nobody.contexts[0]?.context.user;
    const access = load(await write('nobody', JSON.stringify(nobody)));
    assert.equal((await access.credentials.identity()).authorization, undefined);
  });

  it('uses the token beside a token file until that can be read', async () => {
    const user = { token: 'written', tokenFile: 'later' };
    const access = load(await write('both', config({}, user)));
    assert.equal((await access.credentials.identity()).authorization, 'Bearer written');
    await write('later', 'from-file');
    access.credentials.expire();
    assert.equal((await access.credentials.identity()).authorization, 'Bearer from-file');
  });

  it('of several files gives the first that defines a name, and skips those that are not there', async () => {
    const one = await write(
      'merge1',
      'contexts: [{name: a, context: {cluster: c, user: u}}]\nclusters:\nusers: null\n',
    );
    const two = await write(
      'merge2',
      `current-context: a
contexts: [{name: a, context: {cluster: other, user: other}}]
clusters: [{name: c, cluster: {server: 'https://first'}}]
users: [{name: u, user: {token: first}}]
`,
    );
    const three = await write(
      'merge3',
      `current-context: b
clusters: [{name: c, cluster: {server: 'https://second'}}]
users: [{name: u, user: {token: second}}]
`,
    );
    const access = load(one, join(folder, 'missing'), two, three);
    assert.equal(access.server.href, 'https://first/');
    assert.equal((await access.credentials.identity()).authorization, 'Bearer first');
  });

  it('can be overridden in its context and its server', async () => {
    const path = await write('override', config({}, {}));
    const access = kubeconfigAccess([path], options, { server: 'http://10.0.0.2:8080/' });
    assert.equal(access.server.href, 'http://10.0.0.2:8080/');
    assert.throws(() => kubeconfigAccess([path], options, { context: 'two' }), {
      code: 'SY_KUBE_CONFIG_INVALID',
      message: /there is no context two\. Name one that is there \(one\)\.$/,
    });
  });

  const faults: readonly (readonly [
    name: string,
    text: string,
    code: 'INVALID' | 'UNSUPPORTED',
    message: RegExp,
  ])[] = [
    ['no YAML', 'clusters: [', 'INVALID', /line 1/],
    ['a repeated field', 'users: []\nusers: []\n', 'INVALID', /unique/i],
    ['a list', '- a', 'INVALID', /the file must be an object/],
    ['another kind', 'kind: Pod\napiVersion: v1\n', 'INVALID', /must be (v1|Config)/],
    [
      'a wrong type',
      'users: [{name: u, user: {token: 17}}]',
      'INVALID',
      /users\.0\.user\.token must be text/,
    ],
    ['nothing', '', 'INVALID', /names no current-context\. Name one \(there is none\)/],
    ['a context that is not there', 'current-context: x', 'INVALID', /no context x/],
    [
      'a cluster that is not there',
      'current-context: x\ncontexts: [{name: x, context: {cluster: nowhere}}]',
      'INVALID',
      /the cluster "nowhere", which is not there/,
    ],
    [
      'a user who is not there',
      config({}, {}).replace('"name":"u"', '"name":"v"'),
      'INVALID',
      /the user "u", who is not there/,
    ],
    ['no server', config({ server: null }, {}), 'INVALID', /the server "" is no http or https URL/],
    ['another scheme', config({ server: 'ftp://x' }, {}), 'INVALID', /the server "ftp:\/\/x"/],
    [
      'a CA that is none',
      config({ 'certificate-authority-data': base64('no') }, {}),
      'INVALID',
      /certificate-authority-data is no certificate/,
    ],
    [
      'both a CA and no verification',
      config({ 'certificate-authority': 'x', 'insecure-skip-tls-verify': true }, {}),
      'INVALID',
      /both/,
    ],
    ['half a pair', config({}, { 'client-certificate': 'x' }), 'INVALID', /only one of/],
    [
      'a plugin of old',
      config({}, { 'auth-provider': { name: 'gcp' } }),
      'UNSUPPORTED',
      /auth-provider gcp .* Use exec/,
    ],
    ['impersonation', config({}, { as: 'somebody' }), 'UNSUPPORTED', /impersonation/],
    [
      'another proxy',
      config({ 'proxy-url': 'socks5://user:pw@10.0.0.9' }, {}),
      'UNSUPPORTED',
      /"socks5:\/\/…"/,
    ],
    ['a proxy that is no URL', config({ 'proxy-url': 'x' }, {}), 'UNSUPPORTED', /proxy-url/],
    [
      'a command of an old version',
      config({}, { exec: { apiVersion: 'client.authentication.k8s.io/v1alpha1', command: 'x' } }),
      'UNSUPPORTED',
      /v1alpha1/,
    ],
    [
      'a command that talks',
      config(
        {},
        {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: 'x',
            interactiveMode: 'Always',
          },
        },
      ),
      'UNSUPPORTED',
      /interactiveMode/,
    ],
  ];
  for (const [name, text, code, message] of faults) {
    it(`with ${name} is refused`, async () => {
      const path = await write('fault', text);
      assert.throws(
        () => load(path),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, `SY_KUBE_CONFIG_${code}`);
          assert.match(error.message, message);
          assert.ok(error.message.startsWith(`Cannot use the kubeconfig ${path}: `));
          assert.ok(error.message.endsWith('.'));
          // What mkdtemp() has made up for the path may be anything.
          assert.doesNotMatch(error.message.replace(path, ''), /pw/);
          return true;
        },
      );
    });
  }

  it('that is not there is missing', () => {
    assert.throws(() => load(join(folder, 'no'), join(folder, 'none')), {
      code: 'SY_KUBE_CONFIG_MISSING',
      message: /There is no kubeconfig .*\/no:.*\/none\./,
    });
  });
});

it('KUBECONFIG names the files, and without it there is one for every user', () => {
  assert.deepEqual(kubeconfigPaths({ KUBECONFIG: '/a::/b' }), ['/a', '/b']);
  assert.deepEqual(kubeconfigPaths({ KUBECONFIG: '', HOME: '/home/me' }), [
    '/home/me/.kube/config',
  ]);
});

it('a server alone has no credentials', async () => {
  const access = anonymousAccess('10.0.0.1:6443', {});
  assert.equal(access.server.href, 'https://10.0.0.1:6443/');
  assert.equal((await access.credentials.identity()).authorization, undefined);
  assert.throws(() => anonymousAccess('ftp://x', {}), { code: 'SY_KUBE_CONFIG_INVALID' });
});

it('the API server is found by a kubeconfig, else by a URL, else by the pod this is', async () => {
  const kubeconfig = await write('found', config({}, {}));
  const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
  const found = (choice: { kubeconfig: string; master: string }): string =>
    findAccess(choice, { ...options, env }).server.href;
  assert.equal(found({ kubeconfig, master: '' }), 'https://10.0.0.1:6443/');
  assert.equal(found({ kubeconfig, master: 'https://other' }), 'https://other/');
  assert.equal(found({ kubeconfig: '', master: 'https://other' }), 'https://other/');
  assert.equal(found({ kubeconfig: '', master: '' }), 'https://10.96.0.1/');
});
