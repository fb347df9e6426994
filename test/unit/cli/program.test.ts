import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './run.ts';

test('help and version go to standard output, with exit code 0', async () => {
  const help = await run('--help');
  assert.equal(help.code, 0);
  assert.match(help.stdout, /proxy[^]*cleanup/);
  assert.equal(help.stderr, '');
  const version = await run('--version');
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

test('the help of the proxy names every flag', async () => {
  const { stdout, code } = await run('proxy', '--help');
  assert.equal(code, 0);
  for (const flag of [
    '--manifests',
    '--config',
    '--kubeconfig',
    '--hostname-override',
    '--proxy-mode',
    '--ip-families',
    '--cluster-cidr',
    '--detect-local-mode',
    '--pod-bridge-interface',
    '--pod-interface-name-prefix',
    '--nodeport-addresses',
    '--masquerade-all',
    '--coalesce-window',
    '--verify-interval',
    '-v, --v',
    '--service-metrics',
  ])
    assert.ok(stdout.includes(`${flag} `), flag);
});

test('a wrong command line ends with exit code 2 and says what is wrong', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /Usage: switchyard/],
    [['nonsense'], /unknown command 'nonsense'/],
    [['proxy', '--config'], /argument missing/],
    [['proxy', '--manifests', '/', '--nonsense'], /unknown option '--nonsense'/],
    [['proxy', '--manifests', '/', 'more'], /too many arguments/],
    [['proxy', '--manifests', '/', '-v=99x'], /SY_CONFIG_INVALID: --v must be .*99/],
    [['proxy', '--manifests', '/', '--masquerade-all=no'], /SY_CONFIG_INVALID: --masquerade-all/],
    [['proxy', '--proxy-mode', 'magic'], /SY_CONFIG_INVALID: --proxy-mode/],
    [['cleanup', 'more'], /too many arguments/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr, stdout } = await run(...args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.ok(!stderr.includes('    at '), stderr);
    assert.equal(stdout, '');
  }
});
