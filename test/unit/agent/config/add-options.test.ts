import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command, CommanderError } from 'commander';
import { addOptions } from '../../../../src/agent/config/add-options.ts';
import { normaliseFlags } from '../../../../src/agent/config/normalise-flags.ts';

function parse(...args: readonly string[]): object {
  const command = new Command('proxy').exitOverride().configureOutput({ writeErr: () => {} });
  const given = addOptions(command);
  command.parse(normaliseFlags(args), { from: 'user' });
  return Object.fromEntries(given());
}

test('flags that were given are told by name, in the spelling of the user', () => {
  assert.deepEqual(
    parse('-v4', '--masquerade_all', '--oom-score-adj', '-5', '--hostname-override=', '--version'),
    {
      v: '4',
      'masquerade-all': 'true',
      'oom-score-adj': '-5',
      'hostname-override': '',
      version: 'true',
    },
  );
  assert.deepEqual(parse(), {});
});

test('lists add up when they are repeated; of other flags the last one counts', () => {
  assert.deepEqual(
    parse(
      '--nodeport-addresses=a,b',
      '--nodeport-addresses',
      'c',
      '--proxy-mode=ipvs',
      '--proxy-mode=nftables',
    ),
    { 'nodeport-addresses': 'a,b,c', 'proxy-mode': 'nftables' },
  );
  assert.deepEqual(parse('--feature-gates=A=true', '--feature-gates=B=false'), {
    'feature-gates': 'A=true,B=false',
  });
});

test('words that are no flags, unknown flags and missing values are refused', () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['word'], 'commander.excessArguments'],
    [['--masquerade-all', 'false'], 'commander.excessArguments'],
    [['--', '--v=4'], 'commander.excessArguments'],
    [['--no-such-flag=1'], 'commander.unknownOption'],
    [['--proxy-mode'], 'commander.optionMissingArgument'],
  ];
  for (const [args, code] of cases)
    assert.throws(
      () => parse(...args),
      (error) => error instanceof CommanderError && error.code === code,
      args.join(' '),
    );
});

test('the help shows what has an effect, in groups, with defaults', () => {
  const command = new Command('proxy');
  addOptions(command);
  const help = command.helpInformation();
  for (const text of [
    'API server:',
    'nftables, ipvs, iptables, auto (default: auto)',
    '-v, --v <uint32>',
    '--manifests <path>',
    '(default: 24h0m0s)',
  ])
    assert.ok(help.replaceAll(/\s+/g, ' ').includes(text), text);
  for (const text of [
    '--healthz-port',
    '--source-vip',
    '--boot-id-file',
    '--kube-api-qps',
    'Windows:',
  ])
    assert.ok(!help.includes(text), text);
});
