import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { makeNode } from '../../../src/testing/cluster.ts';
import { run } from './run.ts';

const KUBEADM = readFileSync(
  new URL('../../fixtures/kubeadm/config.conf', import.meta.url),
  'utf8',
);
const CHANGED = KUBEADM.replace('mode: "" #', 'mode: ipvs #');

const folder = mkdtempSync(join(tmpdir(), 'switchyard-migrate-'));
after(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('switchyard migrate', () => {
  it('shows the difference and the way, and writes nothing', async () => {
    const file = write('shown.conf', KUBEADM);
    const { code, stdout, stderr } = await run('migrate', '--to', 'ipvs', '--file', file);
    assert.deepEqual([code, stderr], [0, '']);
    assert.ok(stdout.startsWith(`${file}: iptables to ipvs, not written (--apply)\n`));
    assert.match(
      stdout,
      /\n {2}-mode: "" # iptables, as ever\n {2}\+mode: ipvs # iptables, as ever\n/,
    );
    assert.match(stdout, /\nTo know\n {2}Node ports will no longer answer at 127\.0\.0\.1/);
    assert.match(stdout, /\n1\. Before\n/);
    assert.match(stdout, /\nBack 1\. /);
    assert.equal(readFileSync(file, 'utf8'), KUBEADM);
  });

  it('writes the file with --apply, and then has nothing to change', async () => {
    const file = write('applied.conf', KUBEADM);
    const first = await run('migrate', '--to', 'ipvs', '--file', file, '--apply');
    assert.match(first.stdout, /: iptables to ipvs, written\n/);
    assert.equal(readFileSync(file, 'utf8'), CHANGED);
    const second = await run('migrate', '--to', 'ipvs', '--file', file, '--apply');
    assert.equal(second.code, 0);
    assert.match(second.stdout, /: nothing to change, the mode is ipvs\.\n/);
  });

  it('changes the ConfigMap of a cluster, and plans with the names of its nodes', async () => {
    await using server = await startApiServer();
    server.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-proxy', namespace: 'kube-system' },
      data: { 'config.conf': KUBEADM },
    });
    server.load('Node', [makeNode('east', '192.0.2.1'), makeNode('west', '192.0.2.2')]);
    const kubeconfig = write('kubeconfig', server.kubeconfig());
    const args = ['migrate', '--to', 'ipvs', '--kubeconfig', kubeconfig, '--proxy', 'kube-proxy'];
    const shown = await run(...args, '-o', 'json');
    const { isWritten, config } = JSON.parse(shown.stdout) as Readonly<Record<string, unknown>>;
    assert.deepEqual([shown.code, isWritten, config], [0, false, CHANGED]);
    assert.match(shown.stdout, /for node in east;/);
    assert.match(shown.stdout, /for node in west;/);
    assert.ok(server.requests.every(({ method }) => method === 'GET'));
    const applied = await run(...args, '--apply');
    assert.equal(applied.code, 0, applied.stderr);
    assert.deepEqual(server.get('ConfigMap', 'kube-system', 'kube-proxy')?.['data'], {
      'config.conf': CHANGED,
    });
  });

  it('prints a document for kubeadm, the smallest one or the one there is', async () => {
    const small = await run('migrate', '--to', 'nftables', '--print-kubeadm');
    assert.match(
      small.stdout,
      /^# [^]*\n---\napiVersion: kubeproxy\.config\.k8s\.io\/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n$/,
    );
    const file = write('kubeadm.conf', KUBEADM);
    const whole = await run('migrate', '--to', 'ipvs', '--print-kubeadm', '--file', file);
    assert.ok(whole.stdout.endsWith(`---\n${CHANGED}`));
    assert.equal(readFileSync(file, 'utf8'), KUBEADM);
  });

  it('refuses a wrong command line with 2', async () => {
    for (const args of [
      [],
      ['--to', 'ebpf', '--file', 'a'],
      ['--to', 'ipvs'],
      ['--to', 'ipvs', '--file', 'a', '--kubeconfig', 'b'],
      ['--to', 'ipvs', '--file', 'a', '--apply', '--print-kubeadm'],
    ]) {
      const { code, stdout } = await run('migrate', ...args);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    }
  });

  it('refuses what is no configuration, and leaves it as it is', async () => {
    const file = write('other.yaml', 'kind: Deployment\n');
    const { code, stderr } = await run('migrate', '--to', 'ipvs', '--file', file, '--apply');
    assert.equal(code, 1);
    assert.match(stderr, /^switchyard: SY_MIGRATE_UNREADABLE: /);
    assert.equal(readFileSync(file, 'utf8'), 'kind: Deployment\n');
  });
});
