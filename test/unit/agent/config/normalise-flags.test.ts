import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { normaliseFlags } from '../../../../src/agent/config/normalise-flags.ts';
import { FLAGS, OPTIONS } from '../../../../src/agent/config/options.ts';

test('each spelling of Go becomes --name=value', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['-v=4', '--v=4'],
    ['-v 4', '--v=4'],
    ['-v4', '--v=4'],
    ['--v=4', '--v=4'],
    ['--v 4', '--v=4'],
    ['-v=', '--v=='],
    ['--v=', '--v='],
    ['--masquerade-all', '--masquerade-all=true'],
    ['--masquerade-all=false', '--masquerade-all=false'],
    ['--masquerade_all=false', '--masquerade-all=false'],
    ['--masquerade-all false', '--masquerade-all=true false'],
    ['--masquerade-all --cleanup', '--masquerade-all=true --cleanup=true'],
    ['--version', '--version=true'],
    ['--version=raw', '--version=raw'],
    ['--proxy_mode nftables', '--proxy-mode=nftables'],
    ['--oom-score-adj -999', '--oom-score-adj=-999'],
    ['--hostname-override=a=b', '--hostname-override=a=b'],
    ['--hostname-override --v', '--hostname-override=--v'],
    [
      '--nodeport-addresses a --nodeport-addresses=b,c',
      '--nodeport-addresses=a --nodeport-addresses=b,c',
    ],
    ['-- --v=4', '-- --v=4'],
  ];
  for (const [written, normal] of cases)
    assert.deepEqual(normaliseFlags(written.split(' ')), normal.split(' '), written);
});

test('what no row of the table has stays as it is', () => {
  const args = ['--help', '-h', '--no_such_flag', '-x', '-x=1', 'word', '-', '---v=1', '--=1'];
  assert.deepEqual(normaliseFlags(args), args);
});

test('a flag at the end whose value is missing stays one without value', () => {
  assert.deepEqual(normaliseFlags(['--proxy_mode']), ['--proxy-mode']);
  assert.deepEqual(normaliseFlags(['-v']), ['--v']);
});

test('empty arguments are dropped, empty values are kept', () => {
  assert.deepEqual(normaliseFlags(['', '--config', '', '--', '']), ['--config=', '--']);
});

test('values may have line breaks', () => {
  assert.deepEqual(normaliseFlags(['--master=a\nb']), ['--master=a\nb']);
});

test('a command line has one normal form, however its flags are spelled', () => {
  const flag = fc.constantFrom(...FLAGS.keys());
  const use = fc.record({
    flag,
    value: fc.string(),
    split: fc.boolean(),
    underscores: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(use), (uses) => {
      const args = uses.flatMap(({ flag: name, value, split, underscores }) => {
        const written = `--${underscores ? name.replaceAll('-', '_') : name}`;
        const key = FLAGS.get(name);
        const takesWord = key !== undefined && OPTIONS[key].type.bare === undefined;
        return split && takesWord ? [written, value] : [`${written}=${value}`];
      });
      const normal = uses.map(({ flag: name, value }) => `--${name}=${value}`);
      assert.deepEqual(normaliseFlags(args), normal);
      assert.deepEqual(normaliseFlags(normal), normal);
    }),
  );
});
