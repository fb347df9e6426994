import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ElementInfo, SetInfo } from '../../../../../src/kernel/ipset/sets.ts';
import {
  type ServiceNames,
  isOfService,
  readServiceNames,
} from '../../../../../src/tools/inspect/ipvs/names.ts';
import { address } from './samples.ts';

function set(name: string): SetInfo {
  return {
    name,
    type: 'hash:ip,port',
    comments: true,
    family: 'IPv4',
    revision: 6,
    timeout: undefined,
    counters: false,
    marks: false,
    maxElements: 65_536,
    hashSize: 1024,
    elementCount: 1,
    references: 0,
    memory: 0,
  };
}

/** Sets with these elements, which are all there are. */
function holding(sets: Readonly<Record<string, readonly ElementInfo[]>>): ServiceNames {
  return readServiceNames({
    protocol: () => ({ version: 7, oldest: 6 }),
    sets: () => Object.keys(sets).map(set),
    elements: (name) => sets[name] ?? assert.fail(`asked for the elements of ${name}`),
  });
}

const web = { ip: address('10.96.0.1'), protocol: 'TCP', port: 80 } as const;
const web6 = { ...web, ip: address('fd96::1') };
const virtual = { protocol: 'TCP', address: web.ip, port: 80 } as const;

test('names come from the comments of our frontends, in both families', () => {
  const names = holding({
    'swy-ipvs4-frontends': [
      { ...web, comment: 'shop/web:http' },
      { ...web, port: 81, comment: '' },
      { ...web, port: 82 },
    ],
    'swy-ipvs6-frontends': [{ ...web6, comment: 'shop/web6' }],
    'KUBE-CLUSTER-IP': [{ ...web, port: 83, comment: 'not/ours' }],
  });
  assert.equal(names(virtual), 'shop/web:http');
  assert.equal(names({ ...virtual, address: web6.ip }), 'shop/web6');
  assert.equal(names({ ...virtual, protocol: 'UDP' }), undefined);
  assert.equal(names({ ...virtual, address: address('10.96.0.2') }), undefined);
  for (const port of [81, 82, 83]) assert.equal(names({ ...virtual, port }), undefined);
});

test('virtual servers of marks have the name of the frontends that lead to them', () => {
  const names = holding({
    'swy-ipvs4-frontends': [{ ...web, comment: 'shop/web:http' }],
    'swy-ipvs4-inside': [
      { ...web, mark: 7 },
      { ...web, port: 81, mark: 8 },
    ],
  });
  assert.equal(names({ mark: 7, family: 'IPv4' }), 'shop/web:http');
  assert.equal(names({ mark: 7, family: 'IPv6' }), undefined);
  assert.equal(names({ mark: 8, family: 'IPv4' }), undefined);
});

test('without our sets there are no names', () => {
  assert.equal(holding({})(virtual), undefined);
});

test('a Service is its ports, one port is itself', () => {
  assert.ok(isOfService('shop/web:http', 'shop/web'));
  assert.ok(isOfService('shop/web', 'shop/web'));
  assert.ok(isOfService('shop/web:http', 'shop/web:http'));
  assert.ok(!isOfService('shop/web2:http', 'shop/web'));
  assert.ok(!isOfService('shop/web:http2', 'shop/web:http'));
  assert.ok(!isOfService(undefined, 'shop/web'));
});
