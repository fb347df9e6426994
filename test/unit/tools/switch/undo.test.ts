import assert from 'node:assert/strict';
import { chown, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PlaneName } from '../../../../src/agent/mode.ts';
import { parseAddress } from '../../../../src/core/ip.ts';
import {
  type SavedServer,
  type UndoBundle,
  checkFolder,
  keepBundle,
  newestBundle,
  replaceBundle,
} from '../../../../src/tools/switch/undo-bundle.ts';
import {
  isModeNewer,
  planeToReturnTo,
  refuseSharedServers,
  targetsOf,
} from '../../../../src/tools/switch/undo.ts';
import { hasCode } from '../has-code.ts';

const BUNDLE: UndoBundle = {
  version: 1,
  phase: 'removed',
  savedAt: '2026-11-22T08:00:00.000Z',
  plane: 'nftables',
  planeBefore: null,
  objects: [],
  rules: [],
  sets: [],
  servers: [],
  link: false,
  addresses: [],
  tables: [],
  unsaved: [],
};

const ADDRESS = parseAddress('10.0.0.4');
assert.ok(ADDRESS !== undefined);
const REAL = {
  address: ADDRESS,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
} as const;
const SERVER: SavedServer = {
  name: { protocol: 'TCP', address: ADDRESS, port: 80 },
  scheduling: {
    scheduler: 'rr',
    schedulerFlags: 0,
    onePacket: false,
    persistence: undefined,
    persistenceEngine: undefined,
  },
  realServers: [
    { ...REAL, port: 8080, weight: 1 },
    { ...REAL, port: 8081, weight: 0 },
  ],
};

describe('Kept bundles', () => {
  let parent = '';

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'switchyard-undo-'));
  });
  after(async () => {
    await rm(parent, { recursive: true });
  });

  test('the newest is the only one that can be undone, and once', async () => {
    const folder = join(parent, 'several', 'state');
    assert.equal(await newestBundle(folder), undefined);
    const old = await keepBundle(folder, BUNDLE);
    const recent = await keepBundle(folder, { ...BUNDLE, savedAt: '2026-11-23T08:00:00.000Z' });
    assert.deepEqual(await newestBundle(folder), recent);
    await replaceBundle({ ...recent, bundle: { ...recent.bundle, phase: 'undone' } });
    assert.equal(await newestBundle(folder), undefined, `${old.path} is of no use any more`);
    assert.equal((await readdir(folder)).length, 2, 'nothing else is left in the folder');
  });

  test('only root can read them', async () => {
    const folder = join(parent, 'private');
    const { path } = await keepBundle(folder, BUNDLE);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  test('one that is cut short, or of another version, is refused with its name', async () => {
    const folder = join(parent, 'broken');
    const { path } = await keepBundle(folder, BUNDLE);
    const without = Object.keys(BUNDLE).map((name) =>
      Object.fromEntries(Object.entries(BUNDLE).filter(([each]) => each !== name)),
    );
    const wrong = [
      { ...BUNDLE, version: 2 },
      { ...BUNDLE, plane: 'userspace' },
      { ...BUNDLE, phase: 'soon' },
      { ...BUNDLE, rules: {} },
    ];
    const texts = [...without, ...wrong, null, 1, []].map((value) => JSON.stringify(value));
    for (const text of ['{"version":1,', '{"version":1}', ...texts]) {
      await writeFile(path, text);
      await assert.rejects(newestBundle(folder), hasCode('SY_UNDO_BUNDLE', /broken\/undo-2026/));
    }
    // It would be in the way of keeping another one, although that is newer.
    await writeFile(join(folder, 'undo-2027.json'), JSON.stringify(BUNDLE));
    await assert.rejects(checkFolder(folder), hasCode('SY_UNDO_BUNDLE', /broken\/undo-2026/));
  });

  test('a folder that cannot be written to is an error that says so', async () => {
    const file = join(parent, 'file');
    await writeFile(file, '');
    await assert.rejects(keepBundle(file, BUNDLE), hasCode('SY_UNDO_BUNDLE', /cannot be kept/));
    const refusal = hasCode('SY_UNDO_BUNDLE', /cannot be kept in, or read from, [^:]*file: /);
    await assert.rejects(checkFolder(file), refusal);
    const folder = join(parent, 'not', 'yet');
    await checkFolder(folder);
    await assert.rejects(stat(join(parent, 'not')), { code: 'ENOENT' });
  });

  test("one of another user's is refused", { skip: process.geteuid?.() !== 0 }, async () => {
    const folder = join(parent, 'others');
    const { path } = await keepBundle(folder, BUNDLE);
    await chown(path, 1000, 1000);
    await assert.rejects(newestBundle(folder), hasCode('SY_UNDO_BUNDLE', /user 1000, not by root/));
  });

  test('what lies in the way of the next text is not written to', async () => {
    const folder = join(parent, 'in-the-way');
    const stored = await keepBundle(folder, BUNDLE);
    const target = join(parent, 'target');
    await writeFile(target, 'kept');
    await symlink(target, `${stored.path}.tmp`);
    await replaceBundle(stored);
    assert.equal(await readFile(target, 'utf8'), 'kept');
    assert.deepEqual(await newestBundle(folder), stored);
  });
});

function last(from: PlaneName, to: PlaneName) {
  const since = '2026-11-22T08:00:00.000Z';
  return { configured: 'auto', phase: 'done', from, to, since, drainLimitMs: null } as const;
}

describe('What is undone first', () => {
  test('is the take-over, in the mode in which it was made', () => {
    assert.equal(isModeNewer(BUNDLE, { plane: 'nftables' }), false);
    const state = { plane: 'nftables', last: last('ipvs', 'nftables') } as const;
    assert.equal(isModeNewer(BUNDLE, state), false);
  });

  test('is a change of the mode that came afterwards', () => {
    const state = { plane: 'ipvs', last: last('nftables', 'ipvs') } as const;
    assert.equal(isModeNewer(BUNDLE, state), true);
    assert.equal(isModeNewer({ ...BUNDLE, planeBefore: 'ipvs' }, state), true);
  });

  test('is the take-over when the mode came from the configuration', () => {
    assert.equal(isModeNewer(BUNDLE, { plane: 'ipvs' }), false);
  });

  test('is the take-over when that is half undone', () => {
    const bundle: UndoBundle = { ...BUNDLE, phase: 'restoring', planeBefore: 'ipvs' };
    assert.equal(isModeNewer(bundle, { plane: 'ipvs', last: last('nftables', 'ipvs') }), false);
  });
});

describe('Virtual servers of kube-proxy', () => {
  // Without servers: our ipvs mode had taken over all of them.
  const object = { mode: 'ipvs', kind: 'ipset', place: 'ipset', name: 'KUBE-CLUSTER-IP' } as const;
  const shared: UndoBundle = {
    ...BUNDLE,
    plane: 'ipvs',
    objects: [{ ...object, contents: '1 element' }],
  };

  test('are not put back while our ipvs mode has them', () => {
    const refusal = hasCode('SY_SWITCH_REFUSED', /--to nftables/);
    assert.throws(() => refuseSharedServers(shared, 'ipvs'), refusal);
    refuseSharedServers(shared, 'nftables');
    refuseSharedServers({ ...shared, objects: [] }, 'ipvs');
    refuseSharedServers({ ...shared, planeBefore: 'nftables' }, 'ipvs');
  });

  test('are undone next once the mode is another one', () => {
    const state = { plane: 'nftables', last: last('ipvs', 'nftables') } as const;
    assert.equal(isModeNewer(shared, state), false);
    assert.equal(isModeNewer({ ...shared, objects: [] }, state), true);
  });

  test('come back without the ipvs mode that we had beside them', () => {
    const bundle: UndoBundle = { ...shared, plane: 'nftables', planeBefore: 'ipvs' };
    assert.equal(planeToReturnTo(bundle), null);
    assert.equal(planeToReturnTo({ ...bundle, objects: [] }), 'ipvs');
    refuseSharedServers(bundle, 'nftables');
  });
});

test('the endpoints of a bundle are those of its rules, tables and virtual servers', () => {
  const targets = targetsOf({
    ...BUNDLE,
    rules: [
      {
        variant: 'nft',
        family: 'IPv4',
        tables: [
          {
            table: 'nat',
            chains: [
              {
                name: 'KUBE-SEP-A',
                rules: [
                  '-s 10.0.0.1/32 -j KUBE-MARK-MASQ',
                  '-p tcp -j DNAT --to-destination 10.0.0.1:80',
                ],
              },
            ],
            places: [
              { chain: 'OUTPUT', rules: ['-j DNAT --to-destination 10.9.9.9:9'], taken: [] },
            ],
          },
        ],
      },
    ],
    tables: [
      { family: 'IPv4', text: 'meta l4proto tcp dnat to 10.0.0.2:80\n ct status dnat accept\n' },
      {
        family: 'IPv6',
        text:
          'meta l4proto tcp dnat to [fd00::3]:80\n' +
          'meta l4proto tcp dnat ip6 to numgen random mod 2 map { 0 : fd00::5 . 80, 1 : fd00::6 . 81 }\n' +
          'elements = { 0 : 10.9.9.9 . 9 }\n',
      },
    ],
    servers: [SERVER],
  });
  assert.deepEqual(
    [...targets],
    ['10.0.0.1:80', '10.0.0.2:80', '[fd00::3]:80', '[fd00::5]:80', '[fd00::6]:81', '10.0.0.4:8080'],
  );
});
