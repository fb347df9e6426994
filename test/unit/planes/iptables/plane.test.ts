import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Family } from '../../../../src/core/ip.ts';
import type { PlaneSettings } from '../../../../src/core/node.ts';
import { KernelError, type KernelErrorCode } from '../../../../src/kernel/errors.ts';
import type { Iptables } from '../../../../src/kernel/iptables/iptables.ts';
import { openIptablesPlane } from '../../../../src/planes/iptables/plane.ts';
import { frontend, route } from '../../core/routes.ts';

const SETTINGS: PlaneSettings = {
  // The one that fails comes first in most tests.
  families: ['IPv6', 'IPv4'],
  masqueradeAll: false,
  countedPorts: 0,
  serviceCidrs: [],
  localTraffic: {},
};

/** Tables that list nothing, so that a comparison writes all; calls for a family may fail. */
function machine() {
  /** Lines that were taken. */
  const written = { IPv4: new Array<string>(), IPv6: new Array<string>() };
  const failing = new Map<Family, KernelErrorCode>();
  const reads: Family[] = [];
  const call = async (family: Family): Promise<void> => {
    const code = failing.get(family);
    if (code !== undefined) throw new KernelError(`no ${family}`, { code });
    return Promise.resolve();
  };
  const iptables: Iptables = {
    tools: {
      variant: 'nft',
      version: 'v1.8.9 (nf_tables)',
      reason: 'it is a test',
      programs: { IPv4: 'iptables', IPv6: 'ip6tables' },
    },
    warm: call,
    restore: async (family, batches) => {
      await call(family);
      written[family].push(...batches.flatMap(({ lines }) => lines));
    },
    list: async (family) => {
      reads.push(family);
      await call(family);
      return [];
    },
    tables: () => ['nat', 'filter'],
    close: () => undefined,
  };
  const plane = openIptablesPlane(
    { variant: 'nft', masqueradeBit: 14, localhostNodePorts: false },
    {
      openIptables: () => iptables,
      sysctls: { read: () => '0', write: () => undefined },
      clock: { now: () => 0 },
    },
  );
  const take = (family: Family): readonly string[] => written[family].splice(0);
  return { plane, failing, take, reads };
}

const fails = (family: Family) => ({ name: 'KernelError', message: `no ${family}` });
const change = { key: route().key, before: undefined, after: route() };

test('a family that does not work does not keep the other one from being programmed', async () => {
  for (const [broken, works] of [
    ['IPv6', 'IPv4'],
    ['IPv4', 'IPv6'],
  ] as const) {
    const { plane, failing, take } = machine();
    failing.set(broken, 'SY_KERNEL_CALL');
    await assert.rejects(plane.open(SETTINGS, []), fails(broken));
    assert.ok(take(works).includes(':SWY-SERVICES - [0:0]'), `${works} is opened`);
    await assert.rejects(plane.verify(), fails(broken));
    assert.ok(take(works).includes(':SWY-SERVICES - [0:0]'), `${works} is put right`);
    assert.deepEqual(take(broken), []);
  }
});

test('of two families that fail, the first one is told', async () => {
  const { plane, failing } = machine();
  failing.set('IPv4', 'SY_KERNEL_CALL').set('IPv6', 'SY_KERNEL_CALL');
  await assert.rejects(plane.open(SETTINGS, []), fails('IPv6'));
});

test('a change is written where it can be, and everything compared until all families work', async () => {
  const { plane, failing, take, reads } = machine();
  await plane.open(SETTINGS, []);
  take('IPv4');
  take('IPv6');
  failing.set('IPv6', 'SY_KERNEL_CALL');
  // Only IPv4 changes: a family without a change is not asked.
  await plane.apply([change]);
  assert.ok(take('IPv4').some((line) => line.startsWith(':SWY-REFUSED ')));
  await assert.rejects(plane.verify(), fails('IPv6'));
  take('IPv4');
  await assert.rejects(plane.apply([]), fails('IPv6'));
  assert.ok(take('IPv4').includes(':SWY-SERVICES - [0:0]'), 'it is still unsure');
  failing.clear();
  await plane.apply([]);
  assert.ok(take('IPv6').includes(':SWY-SERVICES - [0:0]'), 'what failed is made up for');
  reads.splice(0);
  take('IPv4');
  await plane.apply([]);
  assert.deepEqual([reads, take('IPv4'), take('IPv6')], [[], [], []], 'it is sure again');
});

test('a write that fails in one family reaches the other one, and everything is compared', async () => {
  const { plane, failing, take } = machine();
  await plane.open(SETTINGS, []);
  take('IPv4');
  take('IPv6');
  failing.set('IPv6', 'SY_KERNEL_CALL');
  const frontends = [frontend('clusterIP', 'fd00:96::1')];
  const six = route({ key: 'shop/web:http/TCP/IPv6', family: 'IPv6', frontends });
  const changes = [{ key: six.key, before: undefined, after: six }, change];
  await assert.rejects(plane.apply(changes), fails('IPv6'));
  const lines = take('IPv4').filter((line) => line.startsWith(':SWY-CLUSTER-IPS '));
  assert.equal(lines.length, 2, 'as a change, and with everything');
  failing.clear();
  await plane.apply([]);
  assert.ok(take('IPv6').includes(':SWY-SERVICES - [0:0]'));
});

test('a family that is not wanted and has no tools is none to remove', async () => {
  const { plane, failing, take } = machine();
  failing.set('IPv6', 'SY_KERNEL_UNSUPPORTED');
  await plane.open({ ...SETTINGS, families: ['IPv4'] }, []);
  assert.ok(take('IPv4').includes(':SWY-SERVICES - [0:0]'));
  failing.set('IPv6', 'SY_KERNEL_CALL');
  await assert.rejects(plane.open({ ...SETTINGS, families: ['IPv4'] }, []), fails('IPv6'));
});

test('a family that is wanted and has no tools is told', async () => {
  const { plane, failing } = machine();
  failing.set('IPv6', 'SY_KERNEL_UNSUPPORTED');
  await assert.rejects(plane.open(SETTINGS, []), { code: 'SY_KERNEL_UNSUPPORTED' });
});
