import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Log, type LogOptions, type Logger } from '../../../src/agent/log.ts';

function open(options: Partial<LogOptions> = {}): {
  readonly log: Logger;
  readonly all: Log;
  readonly lines: string[];
} {
  const lines: string[] = [];
  const all = new Log({
    format: 'text',
    verbosity: 0,
    vmodule: [],
    write: (line) => lines.push(line),
    time: () => new Date(2026, 10, 1, 9, 5, 7, 42),
    pid: 1234,
    ...options,
  });
  return { log: all.part('agent'), all, lines };
}

test('lines have the form of klog', () => {
  const { log, lines } = open();
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
  const { log, lines } = open();
  log.info('a "quoted"\nmessage', { err: 'first\nsecond "x" \u001b[31m', left_out: undefined });
  assert.equal(lines.length, 1);
  const [line = ''] = lines;
  assert.equal(line.indexOf('\n'), line.length - 1);
  assert.ok(!line.includes('\u001b'));
  assert.ok(!line.includes('left_out'));
});

test('verbosity says which lines are wanted', () => {
  const { log } = open({ verbosity: 2 });
  assert.deepEqual(
    [0, 2, 3].map((level) => log.v(level)),
    [true, true, false],
  );
  assert.equal(log.part('other').v(3), false);
});

test('parts that a pattern names have a verbosity of their own', () => {
  const vmodule = [
    { filePattern: 'pipe*', verbosity: 4 },
    { filePattern: 'a.i', verbosity: 9 },
  ];
  const { log, all } = open({ verbosity: 2, vmodule });
  assert.equal(log.part('pipeline').v(4), true);
  assert.equal(log.part('pipeline').v(5), false);
  assert.equal(log.part('api').v(3), false);
  all.setVerbosity(5);
  assert.equal(log.part('api').v(5), true);
  assert.equal(log.part('pipeline').v(5), false);
});

test('JSON lines have the fields of component-base', () => {
  const { log, lines } = open({ format: 'json' });
  log.info('Programmed', { services: 'a "b"', ms: 0.5, none: undefined });
  log.error('Failed', { err: 'no' });
  const ts = new Date(2026, 10, 1, 9, 5, 7, 42).getTime();
  assert.deepEqual(
    lines.map((line): unknown => JSON.parse(line)),
    [
      { ts, caller: 'agent', msg: 'Programmed', v: 0, services: 'a "b"', ms: 0.5 },
      { ts, caller: 'agent', msg: 'Failed', err: 'no' },
    ],
  );
  assert.ok(lines.every((line) => line.endsWith('}\n')));
});
