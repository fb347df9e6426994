/** The stand-in API server as kubectl sees it, where there is one. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import { objectIn } from '../../../src/testing/json.ts';
import { service } from './client.ts';

const run = promisify(execFile);

function missing(): string | undefined {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'there is no kubectl on PATH';
  }
}

const reason = missing();

describe('kubectl', { skip: reason ?? false }, () => {
  it('lists, creates, labels, watches and deletes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-kubectl-'));
    const authority = createAuthority();
    const own = authority.issue({ commonName: 'kube-apiserver', hosts: ['127.0.0.1'] });
    await using server = await startApiServer({
      tls: { ...own, authority: authority.certificate },
      token: 'x',
    });
    let watching: ChildProcess | undefined;
    try {
      const file = join(folder, 'kubeconfig');
      await writeFile(file, server.kubeconfig(), { mode: 0o600 });
      const common = ['--kubeconfig', file, '--cache-dir', join(folder, 'cache')];
      const kubectl = async (...given: readonly string[]): Promise<string> =>
        (await run('kubectl', [...common, ...given])).stdout;
      for (const name of ['a', 'b', 'c']) server.apply(service(name));
      const names = await kubectl('get', 'services', '-A', '--chunk-size=2', '-o', 'name');
      assert.equal(names, 'service/a\nservice/b\nservice/c\n');
      assert.match(await kubectl('get', 'svc', 'b', '-o', 'yaml'), /clusterIP: 10\.96\.0\.2\n/);

      const args = [...common, 'get', 'endpointslices', '--watch', '-o', 'name'];
      watching = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] });
      await server.nextRequest(({ target }) => target?.verb === 'watch');
      server.apply({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'seen', namespace: 'default' },
        addressType: 'IPv4',
      });
      if (watching.stdout === null) throw new Error('kubectl has no output');
      for await (const line of createInterface({ input: watching.stdout })) {
        assert.equal(line, 'endpointslice.discovery.k8s.io/seen');
        break;
      }

      await kubectl('create', 'service', 'clusterip', 'd', '--tcp=80:8080', '--validate=false');
      await kubectl('label', 'service', 'd', 'tier=web');
      const labels = objectIn(server.get('Service', 'default', 'd') ?? {}, 'metadata')['labels'];
      assert.deepEqual(labels, { app: 'd', tier: 'web' });
      assert.equal(await kubectl('get', 'svc', '-l', 'tier=web', '-o', 'name'), 'service/d\n');
      await kubectl('delete', 'service', 'd');
      assert.equal(server.get('Service', 'default', 'd'), undefined);
      await assert.rejects(kubectl('get', 'svc', 'd'), /services "d" not found/);
    } finally {
      if (watching !== undefined) {
        const ended = once(watching, 'exit');
        watching.kill();
        await ended;
      }
      await rm(folder, { recursive: true, force: true });
    }
  });
});
