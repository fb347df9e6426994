import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  healthCheckAddresses,
  primaryAddresses,
  resolveNodePortAddresses,
  servesEverywhere,
} from '../../../src/core/node-addresses.ts';
import type { NodeObject } from '../../../src/core/model.ts';
import { cidr, ip, ips } from './build.ts';

const node = (addresses: string): NodeObject => ({
  name: 'here',
  zone: undefined,
  addresses: addresses === '' ? [] : ips(addresses),
  podCIDRs: [],
  eligible: true,
});

interface Primary {
  readonly name: string;
  readonly node: string | undefined;
  readonly bind?: string;
  readonly primary: string;
}

const PRIMARY: readonly Primary[] = [
  { name: 'no Node', node: undefined, primary: '' },
  { name: 'a Node without addresses', node: '', primary: '' },
  { name: 'the first address', node: '10.0.0.1 10.0.0.2', primary: '10.0.0.1' },
  {
    name: 'the first of each family, primary family first',
    node: 'fd00::1 fd00::2 10.0.0.1 10.0.0.2',
    primary: 'fd00::1 10.0.0.1',
  },
  {
    name: 'a bind address takes the place of its family and is primary',
    node: '10.0.0.1 fd00::1',
    bind: 'fd00::9',
    primary: 'fd00::9 10.0.0.1',
  },
  { name: 'an unspecified bind address', node: '10.0.0.1', bind: '0.0.0.0', primary: '10.0.0.1' },
  { name: 'an unspecified IPv6 one', node: '10.0.0.1', bind: '::', primary: '10.0.0.1' },
  { name: 'a bind address without a Node', node: undefined, bind: '10.0.0.9', primary: '10.0.0.9' },
];

for (const { name, node: addresses, bind, primary } of PRIMARY) {
  test(`primary addresses: ${name}`, () => {
    const object = addresses === undefined ? undefined : node(addresses);
    const found = primaryAddresses(object, bind === undefined ? undefined : ip(bind));
    assert.equal(found.join(' '), primary);
  });
}

const INTERFACES = ips(
  '127.0.0.1 ::1 fe80::1 10.1.0.1 192.168.0.1 10.0.0.1 169.254.1.1 fd00::1 2001:db8::1',
);

interface Resolution {
  readonly name: string;
  /** `primary`, or CIDRs separated by spaces. */
  readonly setting: string;
  readonly primary?: string;
  readonly served: string;
}

const RESOLUTIONS: readonly Resolution[] = [
  {
    name: 'primary: the primary address of each family',
    setting: 'primary',
    served: '192.168.0.1 fd00::1',
  },
  {
    name: 'primary: a family without one serves nothing',
    setting: 'primary',
    primary: '192.168.0.1',
    served: '192.168.0.1',
  },
  { name: 'primary: nothing known, nothing served', setting: 'primary', primary: '', served: '' },
  {
    name: 'primary: an address that no interface holds is not served',
    setting: 'primary',
    primary: '203.0.113.9 fd00::1',
    served: 'fd00::1',
  },
  {
    name: 'primary: loopback is not served',
    setting: 'primary',
    primary: '127.0.0.1 ::1',
    served: '',
  },
  {
    name: 'CIDRs: what they contain, and all of a family they do not name',
    setting: '10.0.0.0/8',
    served: '10.0.0.1 10.1.0.1 2001:db8::1 fd00::1',
  },
  {
    name: 'CIDRs of both families',
    setting: '10.0.0.0/16 192.168.0.0/24 fd00::/8',
    served: '10.0.0.1 192.168.0.1 fd00::1',
  },
  {
    name: 'a CIDR without an address in it: none, not all',
    setting: '203.0.113.0/24 2001:db8::/32',
    served: '2001:db8::1',
  },
  {
    name: 'no CIDR: all but loopback and IPv6 link-local',
    setting: '',
    served: '10.0.0.1 10.1.0.1 169.254.1.1 192.168.0.1 2001:db8::1 fd00::1',
  },
  {
    name: '/0: all but loopback and IPv6 link-local',
    setting: '0.0.0.0/0 10.0.0.0/16 ::/0',
    served: '10.0.0.1 10.1.0.1 169.254.1.1 192.168.0.1 2001:db8::1 fd00::1',
  },
  {
    name: 'a CIDR that names loopback',
    setting: '127.0.0.0/8 ::1/128',
    served: '',
  },
];

for (const { name, setting, primary = '192.168.0.1 fd00::1', served } of RESOLUTIONS) {
  test(`node-port addresses: ${name}`, () => {
    const cidrs = setting === '' ? [] : setting.split(' ');
    const found = resolveNodePortAddresses(
      setting === 'primary' ? 'primary' : cidrs.map(cidr),
      primary === '' ? [] : ips(primary),
      INTERFACES,
    );
    assert.equal(found.join(' '), served);
  });
}

test('node-port addresses: where localhost is asked for, IPv4 loopback addresses in a CIDR serve, too', () => {
  const found = (...cidrs: readonly string[]): string =>
    resolveNodePortAddresses(cidrs.map(cidr), [], INTERFACES, true).join(' ');
  assert.equal(found('127.0.0.0/8', '::1/128'), '127.0.0.1');
  assert.match(found(), /^10\.0\.0\.1 10\.1\.0\.1 127\.0\.0\.1 /);
  assert.equal(found('10.0.0.0/16', '::1/128'), '10.0.0.1');
  const primary = resolveNodePortAddresses('primary', ips('192.168.0.1'), INTERFACES, true);
  assert.equal(primary.join(' '), '192.168.0.1');
});

test('node-port addresses do not depend on the order of interfaces or on repetition', () => {
  const repeated = [...INTERFACES.toReversed(), ...INTERFACES];
  assert.deepEqual(
    resolveNodePortAddresses([], [], repeated),
    resolveNodePortAddresses([], [], INTERFACES),
  );
});

interface Listening {
  readonly name: string;
  /** `primary`, or CIDRs separated by spaces. */
  readonly setting: string;
  readonly primary?: string;
  readonly IPv4: string;
  readonly IPv6: string;
}

const LISTENING: readonly Listening[] = [
  { name: 'no CIDR', setting: '', IPv4: 'any', IPv6: 'any' },
  {
    name: 'CIDRs of one family: any address in the other',
    setting: '10.0.0.0/8',
    IPv4: '10.0.0.1 10.1.0.1',
    IPv6: 'any',
  },
  {
    name: '/0 beside a smaller CIDR',
    setting: '10.0.0.0/8 0.0.0.0/0 fd00::/8',
    IPv4: 'any',
    IPv6: 'fd00::1',
  },
  {
    name: 'CIDRs without an address in them: none, not any',
    setting: '203.0.113.0/24 2001:db8:1::/48',
    IPv4: '',
    IPv6: '',
  },
  {
    name: 'CIDRs that name loopback and link-local: loopback only',
    setting: '127.0.0.0/8 ::1/128 fe80::/10',
    IPv4: '127.0.0.1',
    IPv6: '::1',
  },
  { name: 'primary', setting: 'primary', IPv4: '192.168.0.1', IPv6: 'fd00::1' },
  {
    name: 'primary: none in a family of which nothing is known',
    setting: 'primary',
    primary: 'fd00::1',
    IPv4: '',
    IPv6: 'fd00::1',
  },
];

for (const { name, setting, primary = '192.168.0.1 fd00::1', ...expected } of LISTENING) {
  test(`health checks listen: ${name}`, () => {
    const chosen =
      setting === 'primary' ? setting : setting === '' ? [] : setting.split(' ').map(cidr);
    for (const family of ['IPv4', 'IPv6'] as const) {
      const found = healthCheckAddresses(chosen, family, ips(primary), INTERFACES);
      assert.equal(found === 'any' ? found : found.join(' '), expected[family]);
      assert.equal(servesEverywhere(chosen, family), expected[family] === 'any');
    }
  });
}
