import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { serviceYaml, shop, sliceYaml } from '../../lab/manifests.ts';
import { NodeUnderTest, missing } from './node-under-test.ts';

const noStrace =
  spawnSync('strace', ['--version']).error === undefined ? undefined : 'needs strace';
const reason = missing ?? noStrace;

function dns(addresses: readonly string[]): string {
  const text = `${serviceYaml({ name: 'dns', clusterIP: '10.96.0.10', port: 53 })}---\n${sliceYaml('dns', addresses)}`;
  return text
    .replace('    port: 53', '    port: 53\n    protocol: UDP')
    .replace('  port: 8080', '  port: 8080\n  protocol: UDP');
}

test('no change starts a process', reason === undefined ? {} : { skip: reason }, async () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const proxy = node.proxy();
  await proxy.logged(/"Programmed" /);

  const trace = node.file('.trace');
  const calls = 'trace=execve,execveat,clone,clone3,fork,vfork,sendto';
  const strace = spawn('strace', ['-f', '-p', String(proxy.pid), '-o', trace, '-e', calls], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  for await (const line of createInterface({ input: strace.stderr })) {
    if (line.includes('attached')) break;
  }
  node.write('web.yaml', shop('web', '10.96.0.1', 81));
  await proxy.logged(/"Programmed" /);
  node.write('dns.yaml', dns(['10.1.0.1']));
  await proxy.logged(/"Programmed" /);
  node.write('dns.yaml', dns(['10.1.0.2']));
  await proxy.logged(/"Programmed" /);
  node.nft('delete', 'table', 'ip', 'switchyard');
  await proxy.logged(/"Somebody else changed our rules; repaired"/);
  node.write('bad.yaml', 'a: [\n');
  await proxy.logged(/bad\.yaml/);

  strace.kill('SIGINT');
  await once(strace, 'close');
  const lines = readFileSync(trace, 'utf8').split('\n');
  assert.ok(
    lines.some((line) => line.includes('sendto(')),
    'strace saw the messages to the kernel',
  );
  const started = lines.filter(
    (line) => /exec|fork\(|clone/.test(line) && !line.includes('CLONE_THREAD'),
  );
  assert.deepEqual(started, []);
});
