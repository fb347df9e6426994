import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sourceCredentials } from '../../../src/kube/credentials.ts';
import { ExecPlugin, type ExecPluginOptions } from '../../../src/kube/exec-plugin.ts';
import { inClusterAccess } from '../../../src/kube/in-cluster.ts';
import { RereadFile } from '../../../src/kube/reread-file.ts';
import { FakeClock } from '../agent/fakes.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-credentials-'));
});
after(async () => rm(folder, { recursive: true }));

describe('a token file', () => {
  it('is read again after a minute of this machine’s steady clock, and when it was refused', async () => {
    const path = join(folder, 'token');
    const clock = new FakeClock();
    await writeFile(path, 'one');
    const credentials = sourceCredentials({
      token: new RereadFile(path, clock, { what: 'the token' }),
    });
    const token = async (): Promise<string | undefined> =>
      (await credentials.identity()).authorization;
    assert.equal(await token(), 'Bearer one');
    await writeFile(path, 'two');
    await clock.pass(59_999);
    assert.equal(await token(), 'Bearer one');
    await clock.pass(1);
    assert.equal(await token(), 'Bearer two');
    await writeFile(path, 'three');
    credentials.expire();
    assert.equal(await token(), 'Bearer three');
  });

  it('that goes away or is emptied leaves the token there was', async () => {
    const path = join(folder, 'gone');
    const file = new RereadFile(path, new FakeClock(), { what: 'the token' });
    assert.throws(() => file.read(), {
      code: 'SY_KUBE_CREDENTIALS',
      message: /Cannot read the token from .*\/gone: ENOENT.* Mount or write the file/,
    });
    await writeFile(path, 'one');
    assert.equal(file.read(), 'one');
    await writeFile(path, '\n');
    file.expire();
    assert.equal(file.read(), 'one');
    await rm(path);
    file.expire();
    assert.equal(file.read(), 'one');
  });

  it('with something else than a token is refused, and not quoted', async () => {
    const path = join(folder, 'odd');
    await writeFile(path, 'secret one\nsecret two\n');
    const token = new RereadFile(path, new FakeClock(), { what: 'the token' });
    await assert.rejects(sourceCredentials({ token }).identity(), (error: Error) => {
      assert.match(error.message, /characters that no token has/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });
});

describe('in a cluster', () => {
  it('the environment names the server, and mounted files the rest', async () => {
    await writeFile(join(folder, 'ca.crt'), 'CA');
    await writeFile(join(folder, 'token'), 'abc');
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const access = inClusterAccess(env, new FakeClock(), folder);
    assert.equal(access.server.href, 'https://[fd00::1]/');
    assert.equal(access.ca?.read(), 'CA');
    assert.equal((await access.credentials.identity()).authorization, 'Bearer abc');
  });

  it('means that there is an environment that makes a URL', () => {
    assert.throws(() => inClusterAccess({}, new FakeClock()), {
      code: 'SY_KUBE_CONFIG_MISSING',
      message: /no pod of a cluster\. Name a kubeconfig with --kubeconfig/,
    });
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: 'tcp://x' };
    assert.throws(() => inClusterAccess(env, new FakeClock()), { code: 'SY_KUBE_CONFIG_INVALID' });
  });
});

describe('a command that gives credentials', () => {
  const V1 = 'client.authentication.k8s.io/v1';
  let counter = 0;

  /** A plugin that counts its runs in a file, and prints what the test wants. */
  async function plugin(
    output: string,
    options: Partial<ExecPluginOptions> = {},
  ): Promise<{
    plugin: ExecPlugin;
    runs: () => Promise<string>;
    setOutput: (text: string) => Promise<void>;
  }> {
    const name = join(folder, `plugin${counter++}`);
    await writeFile(`${name}.out`, output);
    await writeFile(`${name}.runs`, '');
    await writeFile(
      name,
      `#!/bin/sh\necho "$EXTRA $1 $KUBERNETES_EXEC_INFO" >> ${name}.runs\ncat ${name}.out\n`,
    );
    await chmod(name, 0o755);
    return {
      plugin: new ExecPlugin({
        command: name,
        args: ['arg'],
        variables: { EXTRA: 'variable' },
        apiVersion: V1,
        installHint: undefined,
        cluster: undefined,
        env: { PATH: process.env['PATH'] },
        wallTime: () => 0,
        ...options,
      }),
      runs: async () => readFile(`${name}.runs`, 'utf8'),
      setOutput: async (text) => writeFile(`${name}.out`, text),
    };
  }

  const credential = (status: object): string =>
    JSON.stringify({ apiVersion: V1, kind: 'ExecCredential', status });

  it('runs once for requests that come together, and not again until its token is over', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const {
      plugin: one,
      runs,
      setOutput,
    } = await plugin(credential({ token: 'first', expirationTimestamp: '2026-01-01T01:00:00Z' }), {
      wallTime: () => now,
    });
    const identities = await Promise.all([one.identity(), one.identity(), one.identity()]);
    assert.deepEqual(
      identities.map(({ authorization }) => authorization),
      ['Bearer first', 'Bearer first', 'Bearer first'],
    );
    const info = `{"apiVersion":"${V1}","kind":"ExecCredential","spec":{"interactive":false}}`;
    assert.equal(await runs(), `variable arg ${info}\n`);
    await setOutput(credential({ token: 'second' }));
    now += 3_599_999;
    assert.equal((await one.identity()).authorization, 'Bearer first');
    now += 1;
    assert.equal((await one.identity()).authorization, 'Bearer second');
    now += 1e12;
    await one.identity();
    assert.equal((await runs()).trim().split('\n').length, 2);
  });

  it('runs again when its token was refused, so that a clock that jumped back does no harm', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const { plugin: one, setOutput } = await plugin(
      credential({ token: 'first', expirationTimestamp: '2026-01-01T01:00:00Z' }),
      { wallTime: () => now },
    );
    await one.identity();
    now -= 1e10;
    await setOutput(credential({ token: 'second' }));
    assert.equal((await one.identity()).authorization, 'Bearer first');
    one.expire();
    assert.equal((await one.identity()).authorization, 'Bearer second');
  });

  it('may give a certificate, and may want to know the cluster', async () => {
    const { plugin: one, runs } = await plugin(
      credential({ clientCertificateData: 'CERT', clientKeyData: 'KEY' }),
      { cluster: { server: 'https://api' } },
    );
    assert.deepEqual(await one.identity(), { authorization: undefined, cert: 'CERT', key: 'KEY' });
    assert.match(await runs(), /"cluster":\{"server":"https:\/\/api"\}/);
  });

  const outputs: readonly (readonly [name: string, output: string, reason: RegExp])[] = [
    ['nothing', '', /it wrote no ExecCredential/],
    ['no JSON', 'token', /it wrote no ExecCredential/],
    ['another kind', '{"kind":"Pod","apiVersion":"v1"}', /it wrote no ExecCredential/],
    ['no credentials', credential({}), /neither a token nor a certificate/],
    ['half a certificate', credential({ token: 'x', clientKeyData: 'KEY' }), /only one of/],
    [
      'another version',
      credential({ token: 'x' }).replace('/v1', '/v2'),
      /it answered in .*\/v2, not in/,
    ],
  ];
  for (const [name, output, reason] of outputs) {
    it(`that writes ${name} is reported`, async () => {
      const { plugin: one } = await plugin(output);
      await assert.rejects(one.identity(), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'SY_KUBE_CREDENTIALS');
        assert.match(error.message, /^Cannot get credentials from the command .*plugin\d+: /);
        assert.match(error.message, reason);
        return true;
      });
    });
  }

  it('that fails says why, and runs again for the next request', async () => {
    const { plugin: one, setOutput, runs } = await plugin('', {});
    await assert.rejects(one.identity());
    await setOutput(credential({ token: 'better' }));
    assert.equal((await one.identity()).authorization, 'Bearer better');
    assert.equal((await runs()).trim().split('\n').length, 2);
    const failing = await plugin('', {
      command: '/bin/sh',
      args: ['-c', 'echo broken >&2; exit 3'],
    });
    await assert.rejects(
      failing.plugin.identity(),
      /it ended with 3 and wrote: broken\. Run it by hand/,
    );
  });

  it('that is not installed says how to get it', async () => {
    const { plugin: one } = await plugin('', {
      command: join(folder, 'nothing'),
      installHint: 'Ask your admin.',
    });
    await assert.rejects(one.identity(), /there is no such command\. Ask your admin\./);
  });
});
