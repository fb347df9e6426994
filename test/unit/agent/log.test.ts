import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, openLog } from '../../../src/agent/log.ts';

function open(verbosity: number): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const log = openLog(
    {
      verbosity,
      write: (line) => lines.push(line),
      time: () => new Date(2026, 10, 1, 9, 5, 7, 42),
      pid: 1234,
    },
    'agent',
  );
  return { log, lines };
}

test('lines have the form of klog', () => {
  const { log, lines } = open(0);
  log.info('Programmed', { services: 'shop/web', routes: 3, ms: 0.8, dry: false });
  log.part('pipeline').warning('Drift');
  log.error('Failed', { err: 'no' });
  assert.deepEqual(lines, [
    'I1101 09:05:07.042000    1234 agent] "Programmed" services="shop/web" routes=3 ms=0.8 dry=false\n',
    'W1101 09:05:07.042000    1234 pipeline] "Drift"\n',
    'E1101 09:05:07.042000    1234 agent] "Failed" err="no"\n',
  ]);
});

test('whatever a text holds, a line is one line', () => {
  const { log, lines } = open(0);
  log.info('a "quoted"\nmessage', { err: 'first\nsecond "x" \u001b[31m', left_out: undefined });
  assert.equal(lines.length, 1);
  const [line = ''] = lines;
  assert.equal(line.indexOf('\n'), line.length - 1);
  assert.ok(!line.includes('\u001b'));
  assert.ok(!line.includes('left_out'));
});

test('verbosity says which lines are wanted', () => {
  const { log } = open(2);
  assert.deepEqual(
    [0, 2, 3].map((level) => log.v(level)),
    [true, true, false],
  );
  assert.equal(log.part('other').v(3), false);
});
