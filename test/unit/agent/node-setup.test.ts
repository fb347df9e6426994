import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ConntrackSettings,
  planConntrack,
  setUpConntrack,
  setUpOomScore,
} from '../../../src/agent/node-setup.ts';
import { systemError } from '../../../src/kernel/errors.ts';
import type { Sysctls } from '../../../src/kernel/sysctl.ts';

const NOTHING: ConntrackSettings = {
  maxPerCore: 0,
  min: 131_072,
  tcpEstablishedTimeout: 0,
  tcpCloseWaitTimeout: 0,
  udpTimeout: 0,
  udpStreamTimeout: 0,
  tcpBeLiberal: false,
};

/** kube-proxy's own defaults. */
const DEFAULTS: ConntrackSettings = {
  ...NOTHING,
  maxPerCore: 32_768,
  tcpEstablishedTimeout: 86_400,
  tcpCloseWaitTimeout: 3600,
};

const name = (short: string): string => `net/netfilter/nf_conntrack_${short}`;

/** What a kernel has after boot, by the last part of the name. */
const BOOT = {
  max: 65_536,
  buckets: 16_384,
  tcp_timeout_established: 432_000,
  tcp_timeout_close_wait: 60,
  tcp_be_liberal: 0,
  udp_timeout: 30,
  udp_timeout_stream: 120,
} as const;

const kernel = (other: Readonly<Record<string, number>> = {}): ReadonlyMap<string, number> =>
  new Map(Object.entries({ ...BOOT, ...other }).map(([short, value]) => [name(short), value]));

/** Planned writes as `max=131072`. */
function plan(
  settings: ConntrackSettings,
  cpus: number,
  other: Readonly<Record<string, number>> = {},
): string {
  return planConntrack(settings, cpus, kernel(other))
    .map((write) => `${write.name.slice(name('').length)}=${write.value}`)
    .join(' ');
}

test('the defaults give each CPU its connections, a bucket for four of them, and two timeouts', () => {
  assert.equal(
    plan(DEFAULTS, 8),
    'max=262144 buckets=65536 tcp_timeout_established=86400 tcp_timeout_close_wait=3600',
  );
});

test('a write remembers what was there', () => {
  assert.deepEqual(planConntrack({ ...NOTHING, udpTimeout: 31.9 }, 1, kernel()), [
    { name: name('udp_timeout'), value: 31, before: 30 },
  ]);
});

interface Limit {
  readonly name: string;
  readonly settings?: Partial<ConntrackSettings>;
  readonly cpus: number;
  readonly now?: Readonly<Record<string, number>>;
  readonly plan: string;
}

const LIMITS: readonly Limit[] = [
  { name: 'few CPUs: the least number counts', cpus: 2, plan: 'max=131072 buckets=32768' },
  { name: 'many CPUs: at most 1 Mi', cpus: 96, plan: 'max=1048576 buckets=262144' },
  {
    name: 'many CPUs, and a least number above 1 Mi: the least number counts',
    settings: { min: 2_000_000 },
    cpus: 96,
    plan: 'max=2000000 buckets=500000',
  },
  {
    name: 'a larger limit of the administrator stays',
    cpus: 2,
    now: { max: 2_000_000, buckets: 500_000 },
    plan: '',
  },
  {
    name: 'a larger limit over a small hash table: the table grows',
    cpus: 2,
    now: { max: 2_000_000 },
    plan: 'buckets=32768',
  },
  { name: 'no limit stays none', cpus: 2, now: { max: 0 }, plan: 'buckets=32768' },
  {
    name: 'the same limit is not written',
    cpus: 2,
    now: { max: 131_072, buckets: 32_768 },
    plan: '',
  },
  { name: '0 for each CPU leaves all alone', settings: { maxPerCore: 0 }, cpus: 8, plan: '' },
];

for (const limit of LIMITS) {
  test(`limit of connections: ${limit.name}`, () => {
    const settings = { ...NOTHING, maxPerCore: 32_768, ...limit.settings };
    assert.equal(plan(settings, limit.cpus, limit.now), limit.plan);
  });
}

test('a limit is never lowered', () => {
  const number = fc.nat({ max: 4_000_000 });
  fc.assert(
    fc.property(number, number, number, number, fc.integer({ min: 1, max: 512 }), (...input) => {
      const [maxPerCore, min, max, buckets, cpus] = input;
      const current = kernel({ max, buckets });
      for (const { value, before } of planConntrack({ ...NOTHING, maxPerCore, min }, cpus, current))
        assert.ok(value > before && before !== 0);
    }),
  );
});

test('timeouts are set to what is asked for, also to less than there is', () => {
  const settings = { ...NOTHING, udpTimeout: 10, udpStreamTimeout: 180, tcpBeLiberal: true };
  assert.equal(plan(settings, 1), 'tcp_be_liberal=1 udp_timeout=10 udp_timeout_stream=180');
});

test('being liberal is not taken back', () => {
  assert.equal(plan(NOTHING, 1, { tcp_be_liberal: 1 }), '');
});

/** Sysctls of a kernel in memory; `refused` ones cannot be written. */
function fake(values: Map<string, number>, refused: readonly string[] = []): Sysctls {
  return {
    read: (sysctl) => {
      const value = values.get(sysctl);
      if (value === undefined) throw systemError(`reading ${sysctl}`, 2);
      return String(value);
    },
    write: (sysctl, value) => {
      if (refused.includes(sysctl)) throw systemError(`writing ${value} to ${sysctl}`, 30);
      values.set(sysctl, Number(value));
    },
  };
}

test('what differs is written, and a second run writes nothing', () => {
  const values = new Map(kernel());
  const first = setUpConntrack(DEFAULTS, 2, fake(values));
  assert.equal(first.written.length, 4);
  assert.deepEqual([first.absent, first.failures], [[], []]);
  assert.equal(values.get(name('max')), 131_072);
  assert.equal(values.get(name('udp_timeout')), 30);
  assert.deepEqual(setUpConntrack(DEFAULTS, 2, fake(values)).written, []);
});

test('one sysctl that cannot be written is told, and the others are written', () => {
  const values = new Map(kernel());
  const { written, failures } = setUpConntrack(DEFAULTS, 2, fake(values, [name('max')]));
  assert.deepEqual(
    failures.map(({ code, message }) => [code, message]),
    [['SY_KERNEL_PERMISSION', `writing 131072 to ${name('max')}: read-only file system (EROFS)`]],
  );
  assert.deepEqual(
    written.map((write) => write.name),
    [name('buckets'), name('tcp_timeout_established'), name('tcp_timeout_close_wait')],
  );
  assert.equal(values.get(name('max')), 65_536);
});

test('sysctls that are not there are no failures, and are not written', () => {
  const values = new Map([[name('max'), 65_536]]);
  const { written, absent, failures } = setUpConntrack(DEFAULTS, 2, fake(values));
  assert.deepEqual(
    written.map((write) => write.name),
    [name('max')],
  );
  assert.deepEqual(
    absent,
    ['buckets', 'tcp_timeout_established', 'tcp_timeout_close_wait'].map(name),
  );
  assert.deepEqual(failures, []);
  assert.equal(values.size, 1);
});

test('a fault of this program is no failure of the kernel', () => {
  const broken: Sysctls = { ...fake(new Map()), read: () => assert.fail('broken') };
  assert.throws(() => setUpConntrack(DEFAULTS, 2, broken), /broken/);
});

test('a score for the OOM killer that cannot be set is returned as the reason', () => {
  const scores: number[] = [];
  assert.equal(
    setUpOomScore(-999, (score) => {
      scores.push(score);
    }),
    undefined,
  );
  assert.deepEqual(scores, [-999]);
  const failure = setUpOomScore(-999, () => {
    throw systemError('setting the score', 13);
  });
  assert.equal(failure?.code, 'SY_KERNEL_PERMISSION');
});
