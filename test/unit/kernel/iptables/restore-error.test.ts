import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RestoreError,
  isRefusal,
  lineSaid,
} from '../../../../src/kernel/iptables/restore-error.ts';

const BATCH = { table: 'nat', lines: [':A - [0:0]', '-A A -j B', '-A A -j C'] } as const;

function end(said: string, how = 'status 1') {
  return { program: 'iptables-nft-restore', how, said };
}

function errorAt(line: number | undefined, said = 'line 3 failed\n') {
  return new RestoreError(end(said), { batch: BATCH, applied: 0, left: 0, line });
}

test('the line is found in the words of every variant and release', () => {
  for (const said of [
    'iptables-restore: line 17 failed\n',
    'iptables-nft-restore: line 17 failed: No chain/target/match by that name.\n',
    'iptables-nft-restore v1.8.9 (nf_tables): \nline 17: CHAIN_DEL failed (Device or resource busy): chain A\nline 18: CHAIN_DEL failed\n',
    "iptables-restore v1.8.9 (legacy): Couldn't load target `B':No such file or directory\n\nError occurred at line: 17\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
  ]) {
    assert.equal(lineSaid(said), 17, said);
  }
  assert.equal(lineSaid('iptables-restore: unable to initialize\n'), undefined);
});

test('the refused line is shown with its neighbours, the first and the last ones too', () => {
  const lines = ['  *nat', '  :A - [0:0]', '  -A A -j B', '  -A A -j C', '  COMMIT'];
  for (const [line, marked] of [
    [-1, 0],
    [1, 2],
    [3, 4],
  ] as const) {
    const shown = errorAt(line).message.split('\n').slice(1);
    const all = lines.map((text, index) => (index === marked ? text.replace(/^ /, '>') : text));
    assert.deepEqual(shown, all.slice(Math.max(0, marked - 3), marked + 4));
  }
  assert.doesNotMatch(errorAt(undefined).message, /\n/);
});

test('it is told what is in force and what is not', () => {
  const error = new RestoreError(end('line 9 failed'), {
    batch: BATCH,
    applied: 2,
    left: 3,
    line: 0,
  });
  assert.equal(error.applied, 2);
  assert.match(error.message, /Nothing of this batch and none of the 3 after it is in force/);
  assert.doesNotMatch(errorAt(0).message, /after it/);
});

test('missing rights have a code of their own', () => {
  const denied = errorAt(
    0,
    "can't initialize iptables table `nat': Permission denied (you must be root)",
  );
  assert.equal(denied.code, 'SY_KERNEL_PERMISSION');
  assert.match(denied.message, /CAP_NET_ADMIN/);
  assert.equal(errorAt(0).code, 'SY_KERNEL_CALL');
});

test('a process that was killed, or ended without a word, has refused nothing', () => {
  assert.ok(isRefusal(end('line 3 failed\n')));
  assert.ok(!isRefusal(end('', 'status 0')));
  assert.ok(!isRefusal(end('line 3 failed\n', 'SIGKILL')));
});
