import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { run } from './run.ts';

test('a wrong command line ends with exit code 2 and says what is wrong', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /Usage: switchyard ipvs/],
    [['magic'], /unknown command 'magic'/],
    [['list', 'more'], /too many arguments/],
    [['list', '-t', '10.96.0.1:http'], /-t, .*'10\.96\.0\.1:http'.*10\.96\.0\.1:80/],
    [['list', '-u', 'fd00::1:80'], /must be like 10\.96\.0\.1:80 or \[fd00::1\]:80/],
    [['list', '--service', 'web'], /must be like namespace\/name/],
    [['list', '--service', 'shop/web:http:x'], /must be like namespace\/name/],
    [['list', '-t', '10.96.0.1:80', '-u', '10.96.0.1:80'], /cannot be used with/],
    [['connections', '-t', '10.96.0.1:80', '--service', 'shop/web'], /cannot be used with/],
    [['stats', '-o', 'xml'], /Allowed choices are json, yaml, wide/],
    [['timeouts', '-o', 'wide'], /Allowed choices are json, yaml/],
    [['timeouts', '--services'], /unknown option '--services'/],
    [['list', '--exact'], /unknown option '--exact'/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run('ipvs', ...args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});

const skip = existsSync('/proc/net/ip_vs') ? 'this kernel has IPVS' : false;

test(
  'without IPVS each command says which module to load, with exit code 1',
  { skip },
  async () => {
    for (const command of ['list', 'stats', 'rate', 'connections', 'timeouts']) {
      const { code, stdout, stderr } = await run('ipvs', command);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^switchyard: SY_KERNEL_UNSUPPORTED: [^\n]*modprobe ip_vs[^\n]*\n$/);
    }
  },
);
