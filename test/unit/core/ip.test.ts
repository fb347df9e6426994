import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressLength,
  cidrContains,
  familyOf,
  formatCidr,
  hostPort,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  packAddress,
  parseAddress,
  parseCidr,
  unpackAddress,
} from '../../../src/core/ip.ts';
import { cidr, ip } from './build.ts';

const CANONICAL: readonly (readonly [text: string, canonical: string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.96.0.1', '10.96.0.1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['FD00:0010:0096::00Ab', 'fd00:10:96::ab'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::1.2.3.4', '::102:304'],
  ['::fffe:1.2.3.4', '::fffe:102:304'],
];

for (const [text, canonical] of CANONICAL) {
  test(`${text} is read as ${canonical}`, () => assert.equal(parseAddress(text), canonical));
}

const REFUSED: readonly string[] = [
  '',
  ' ',
  '127.1',
  '1',
  '2130706433',
  '0x7f.0.0.1',
  '010.0.0.1',
  '00.0.0.1',
  '1.2.3.256',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.4.',
  '.1.2.3.4',
  '1..2.3',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '1.2.3.4/32',
  '+1.2.3.4',
  '1.2.3.1000000000000000000000',
  ':',
  ':::',
  ':1',
  '1:',
  '1:::2',
  '1::2::3',
  '12345::',
  'g::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '::1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3',
  '::01.2.3.4',
  '::1.2.3.4:5',
  '[::1]',
  'fe80::1%eth0',
  '::ffff:1.2.3.4',
  '::ffff:102:304',
  '0:0:0:0:0:FFFF:1.2.3.4',
  'localhost',
];

for (const text of REFUSED) {
  test(`${JSON.stringify(text)} is no address`, () => assert.equal(parseAddress(text), undefined));
}

test('the family and the packed length of an address follow from its text', () => {
  assert.equal(familyOf(ip('10.0.0.1')), 'IPv4');
  assert.equal(familyOf(ip('::')), 'IPv6');
  assert.equal(addressLength('IPv4'), 4);
  assert.equal(addressLength('IPv6'), 16);
});

test('packing writes network order at the given place and nothing beside it', () => {
  const bytes = new Uint8Array(20).fill(0xee);
  assert.equal(packAddress(ip('10.1.2.3'), bytes, 2), 4);
  assert.deepEqual([...bytes.subarray(0, 8)], [0xee, 0xee, 10, 1, 2, 3, 0xee, 0xee]);
  assert.equal(packAddress(ip('fd00:10::ff'), bytes, 1), 16);
  assert.equal(bytes[0], 0xee);
  assert.deepEqual(
    [...bytes.subarray(1, 17)],
    [0xfd, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff],
  );
  assert.deepEqual([...bytes.subarray(17)], [0xee, 0xee, 0xee]);
});

test('unpacking gives canonical text', () => {
  const bytes = new Uint8Array(18);
  packAddress(ip('2001:db8::8:0:0:1'), bytes, 2);
  assert.equal(unpackAddress(bytes, 2, 'IPv6'), '2001:db8::8:0:0:1');
  assert.equal(unpackAddress(Uint8Array.of(0, 192, 0, 2, 1), 1, 'IPv4'), '192.0.2.1');
});

const CIDRS: readonly (readonly [text: string, canonical: string | undefined])[] = [
  ['10.1.2.3/12', '10.0.0.0/12'],
  ['10.1.2.3/32', '10.1.2.3/32'],
  ['10.1.2.3/0', '0.0.0.0/0'],
  ['10.1.255.3/23', '10.1.254.0/23'],
  ['FD00:1234::1/20', 'fd00:1000::/20'],
  ['fd00::1/128', 'fd00::1/128'],
  ['fd00::1/0', '::/0'],
  ['10.1.2.3', undefined],
  ['10.1.2.3/', undefined],
  ['10.1.2.3/33', undefined],
  ['10.1.2.3/08', undefined],
  ['10.1.2.3/-1', undefined],
  ['10.1.2.3/8/8', undefined],
  ['10.1.2.3/255.0.0.0', undefined],
  ['10.0.0/8', undefined],
  ['fd00::/129', undefined],
  ['::ffff:10.0.0.0/104', undefined],
  ['/8', undefined],
];

for (const [text, canonical] of CIDRS) {
  test(`CIDR ${text} is ${canonical ?? 'refused'}`, () => {
    const value = parseCidr(text);
    assert.equal(value && formatCidr(value), canonical);
  });
}

const CONTAINED: readonly (readonly [range: string, address: string, inside: boolean])[] = [
  ['10.0.0.0/8', '10.255.255.255', true],
  ['10.0.0.0/8', '11.0.0.0', false],
  ['10.0.0.128/25', '10.0.0.127', false],
  ['10.0.0.128/25', '10.0.0.128', true],
  ['10.0.0.1/32', '10.0.0.1', true],
  ['10.0.0.1/32', '10.0.0.2', false],
  ['0.0.0.0/0', '255.1.2.3', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '10.0.0.1', false],
  ['::/0', 'ffff::', true],
  ['fd00:10:96::/108', 'fd00:10:96::f:ffff', true],
  ['fd00:10:96::/108', 'fd00:10:96::10:0', false],
];

for (const [range, address, inside] of CONTAINED) {
  test(`${range} ${inside ? 'contains' : 'does not contain'} ${address}`, () =>
    assert.equal(cidrContains(cidr(range), ip(address)), inside));
}

const KINDS: readonly (readonly [address: string, kinds: string])[] = [
  ['127.0.0.1', 'loopback'],
  ['127.255.0.9', 'loopback'],
  ['128.0.0.1', ''],
  ['12.7.0.0', ''],
  ['::1', 'loopback'],
  ['::2', ''],
  ['169.254.0.1', 'link-local'],
  ['169.253.0.1', ''],
  ['fe80::1', 'link-local'],
  ['febf::', 'link-local'],
  ['fec0::', ''],
  ['fe8::', ''],
  ['0.0.0.0', 'unspecified'],
  ['::', 'unspecified'],
  ['0.0.0.1', ''],
  ['223.255.255.255', ''],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', ''],
  ['ff02::1', 'multicast'],
  ['ff::', ''],
];

for (const [text, kind] of KINDS) {
  test(`${text} is ${kind === '' ? 'an ordinary address' : kind}`, () => {
    const address = ip(text);
    const kinds = [
      isLoopback(address) ? 'loopback' : '',
      isLinkLocal(address) ? 'link-local' : '',
      isUnspecified(address) ? 'unspecified' : '',
      isMulticast(address) ? 'multicast' : '',
    ];
    assert.equal(kinds.join(''), kind);
  });
}

test('an address with a port brackets IPv6', () => {
  assert.equal(hostPort(ip('1.2.3.4'), 80), '1.2.3.4:80');
  assert.equal(hostPort(ip('fd00::1'), 80), '[fd00::1]:80');
});
