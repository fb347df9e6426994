import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Owner } from '../../../../src/tools/cleanup/leftovers.ts';
import { findRunning, refuseWhileRunning } from '../../../../src/tools/cleanup/running.ts';

interface Process {
  readonly words: readonly string[];
  readonly namespace?: string;
  readonly cgroup?: string;
}

/** A procfs with these processes, numbered from 1001, for the length of a call. */
function withProc(processes: readonly Process[], use: (proc: string) => void): void {
  const proc = mkdtempSync(join(tmpdir(), 'switchyard-proc-'));
  try {
    const add = (name: string, { words, namespace = 'net:[1]', cgroup = '0::/\n' }: Process) => {
      mkdirSync(join(proc, name, 'ns'), { recursive: true });
      writeFileSync(join(proc, name, 'cmdline'), words.map((word) => `${word}\0`).join(''));
      writeFileSync(join(proc, name, 'cgroup'), cgroup);
      symlinkSync(namespace, join(proc, name, 'ns/net'));
    };
    add('self', { words: [] });
    for (const [index, each] of processes.entries()) add(String(1001 + index), each);
    mkdirSync(join(proc, 'sys'));
    use(proc);
  } finally {
    rmSync(proc, { recursive: true });
  }
}

function owners(...words: readonly string[]): readonly Owner[] {
  const found: Owner[] = [];
  withProc([{ words }], (proc) => {
    for (const owner of ['switchyard', 'kube-proxy'] as const) {
      if (findRunning(owner, proc).length > 0) found.push(owner);
    }
  });
  return found;
}

test('kube-proxy is known by its program, under whatever path', () => {
  assert.deepEqual(owners('kube-proxy', '--config=x'), ['kube-proxy']);
  assert.deepEqual(owners('/usr/local/bin/kube-proxy', '--config', 'x'), ['kube-proxy']);
  assert.deepEqual(owners('/hyperkube', 'kube-proxy'), ['kube-proxy']);
  assert.deepEqual(owners('/hyperkube', 'kubelet'), []);
  assert.deepEqual(owners('vi', '/etc/kube-proxy'), []);
  assert.deepEqual(owners('kube-proxy-exporter'), []);
});

test('Switchyard is known by its script, also under the name of kube-proxy', () => {
  assert.deepEqual(owners('/usr/bin/node', '/usr/local/bin/switchyard', 'proxy'), ['switchyard']);
  assert.deepEqual(owners('node', '--max-old-space-size=99', 'dist/bin/switchyard.js', 'proxy'), [
    'switchyard',
  ]);
  assert.deepEqual(owners('node', 'src/cli/main.ts', 'proxy'), ['switchyard']);
  assert.deepEqual(owners('/usr/local/bin/node', '/usr/local/bin/kube-proxy', '--config=x'), [
    'switchyard',
  ]);
  assert.deepEqual(owners('node', '/usr/local/bin/switchyard', 'ipvs', 'list'), []);
  assert.deepEqual(owners('node', 'other.js', 'proxy'), []);
});

test('a process that does one thing and ends is no proxy that runs', () => {
  assert.deepEqual(owners('kube-proxy', '--cleanup'), []);
  assert.deepEqual(owners('node', '/usr/local/bin/switchyard', 'proxy', '--cleanup=true'), []);
  assert.deepEqual(owners('kube-proxy', '--cleanup-ipvs'), ['kube-proxy']);
});

test('a proxy of another network namespace has nothing in this one', () => {
  withProc([{ words: ['kube-proxy'], namespace: 'net:[2]' }], (proc) => {
    assert.deepEqual(findRunning('kube-proxy', proc), []);
    refuseWhileRunning('kube-proxy', proc);
  });
});

for (const [name, cgroup, stop] of [
  [
    'a systemd unit',
    '0::/system.slice/kube-proxy.service\n',
    /systemctl disable --now kube-proxy\.service/,
  ],
  [
    'a pod',
    '0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n',
    /kubectl .*daemonset kube-proxy/,
  ],
  ['a process of a terminal', '0::/user.slice/session-1.scope\n', /: kill 1001$/],
  ['a child of another unit', '0::/system.slice/ssh.service\n', /: kill 1001$/],
] as const) {
  test(`the refusal says how to stop ${name}`, () => {
    withProc([{ words: ['/usr/bin/kube-proxy', '--v=2'], cgroup }], (proc) => {
      assert.throws(
        () => {
          refuseWhileRunning('kube-proxy', proc);
        },
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'SY_OWNER_RUNNING');
          assert.match(error.message, /process 1001 \(\/usr\/bin\/kube-proxy --v=2\)/);
          assert.match(error.message, stop);
          return true;
        },
      );
      refuseWhileRunning('switchyard', proc);
    });
  });
}
