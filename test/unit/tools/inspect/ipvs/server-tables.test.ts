/** What ipvsadm cannot be made to show in a test; test/uml/ipvs-inspect.test.ts compares the rest with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ServerView,
  type TableOptions,
  serverLines,
  versionLine,
} from '../../../../../src/tools/inspect/ipvs/server-tables.ts';
import type { NamedServer } from '../../../../../src/tools/inspect/ipvs/servers.ts';
import { ROUND_ROBIN, ipvsServer, real, stats } from './samples.ts';

function table(
  view: ServerView,
  servers: readonly NamedServer[],
  options: Partial<TableOptions> = {},
): readonly string[] {
  const lines = serverLines(view, servers, {
    exact: false,
    services: false,
    wide: false,
    ...options,
  });
  return [...lines];
}

/** The line of a virtual server. */
function scheduled(scheduler: string, schedulerFlags: number): string | undefined {
  const scheduling = { ...ROUND_ROBIN, scheduler, schedulerFlags };
  return table('list', [ipvsServer('TCP', '10.96.0.1', 80, { scheduling })])[2];
}

/** The figures of a line, their column included. */
function figures(line: string | undefined): string {
  return (line ?? '').slice(33);
}

test('the first line has version and table size', () => {
  assert.equal(
    versionLine({ version: '1.2.1', connectionTableSize: 4096 }),
    'IP Virtual Server version 1.2.1 (size=4096)',
  );
});

test('figures are shortened from 100 million on, and always cut, never rounded', () => {
  const cases = [
    [99_999_999, ' 99999999'],
    [100_000_000, '  100000K'],
    [999_999_999, '  999999K'],
    [1_000_000_000, '    1000M'],
    [99_999_999_999, '   99999M'],
    [100_000_000_000, '     100G'],
    [99_999_999_999_999, '   99999G'],
    [100_000_000_000_000, '     100T'],
    [9_007_199_254_740_991, '    9007T'],
  ] as const;
  for (const [inBytes, expected] of cases) {
    const counted = stats({ inBytes });
    const server = ipvsServer('TCP', '10.96.0.1', 80, {
      stats: counted,
      realServers: [real('10.0.0.1', { stats: counted })],
    });
    const [, , virtual, line] = table('stats', [server]);
    const zero = '        0';
    assert.equal(figures(virtual), `${zero}${zero}${zero}${expected}${zero}`);
    assert.equal(figures(line), figures(virtual));
    const exact = ` ${inBytes}`.padStart(9);
    assert.equal(
      figures(table('stats', [server], { exact: true })[2]),
      `${zero}${zero}${zero}${exact}${zero}`,
    );
  }
});

test('rates of packets of real servers are never shortened, those of bytes are', () => {
  const fast = stats({ connectionRate: 1e9, inPacketRate: 2e9, inByteRate: 3e9 });
  const server = ipvsServer('TCP', '10.96.0.1', 80, {
    stats: fast,
    realServers: [real('10.0.0.1', { stats: fast })],
  });
  const [title, , virtual, line] = table('rate', [server]);
  assert.equal(
    title,
    'Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS',
  );
  assert.equal(figures(virtual), '    1000M    2000M        0    3000M        0');
  assert.equal(figures(line), ' 1000000000 2000000000        0    3000M        0');
});

test('what scheduler flags have no name is bracketed all the same', () => {
  assert.equal(scheduled('sh', 3), 'TCP  10.96.0.1:80 sh (sh-fallback,sh-port)');
  assert.equal(scheduled('mh', 4), 'TCP  10.96.0.1:80 mh ()');
  assert.equal(scheduled('lc', 6), 'TCP  10.96.0.1:80 lc (flag-2,flag-3)');
  assert.equal(scheduled('lc', 0), 'TCP  10.96.0.1:80 lc');
});

test('masks of IPv4 are dotted, whatever their length', () => {
  for (const [prefix, mask] of [
    [1, '128.0.0.0'],
    [8, '255.0.0.0'],
    [20, '255.255.240.0'],
    [31, '255.255.255.254'],
  ] as const) {
    const scheduling = { ...ROUND_ROBIN, persistence: { seconds: 60, prefix } };
    const [, , line] = table('list', [ipvsServer('TCP', '10.96.0.1', 80, { scheduling })]);
    assert.equal(line, `TCP  10.96.0.1:80 rr persistent 60 mask ${mask}`);
  }
});

test('wide columns fit what is in them, and tell all there is', () => {
  const long = '2001:db8:1111:2222:3333:4444:5555:6666';
  const server = ipvsServer('TCP', 'fd96::1', 80, {
    service: 'shop/web:http',
    stats: stats({ inBytes: 12_345_678_901 }),
    realServers: [
      real(long, { persistentConnections: 2, upperThreshold: 9, lowerThreshold: 3 }),
      real('fd01::2'),
    ],
  });
  const list = table('list', [server], { wide: true, services: true });
  assert.deepEqual(list, [
    'Prot LocalAddress:Port Scheduler Flags  Service',
    '  -> RemoteAddress:Port                            Forward Weight ActiveConn InActConn  PersistConn Uthreshold Lthreshold',
    'TCP  [fd96::1]:80 rr  shop/web:http',
    `  -> [${long}]:8080 Masq    1      0          0          2           9          3`,
    '  -> [fd01::2]:8080                                Masq    1      0          0          0           0          0',
  ]);
  const figuresOf = table('stats', [server], { wide: true, services: true });
  const [title, , ...rows] = figuresOf;
  assert.match(title ?? '', / InBytes +OutBytes {2}Service$/);
  assert.match(rows[0] ?? '', / 12345678901 +0 {2}shop\/web:http$/);
  const end = (title ?? '').indexOf(' InBytes') + ' InBytes'.length;
  for (const row of rows) assert.match(row.slice(0, end), /\d$/, 'figures end where titles end');
});

test('without servers there is the title alone', () => {
  assert.equal(table('list', []).length, 2);
  assert.equal(table('stats', [], { wide: true }).length, 2);
});
