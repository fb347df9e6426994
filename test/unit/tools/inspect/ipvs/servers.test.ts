import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VirtualName } from '../../../../../src/kernel/ipvs/servers.ts';
import type { VirtualServerListing } from '../../../../../src/kernel/ipvs/socket.ts';
import { ToolError } from '../../../../../src/tools/errors.ts';
import { serversDocument } from '../../../../../src/tools/inspect/ipvs/documents.ts';
import type { ServiceNames } from '../../../../../src/tools/inspect/ipvs/names.ts';
import {
  type ServerFilter,
  type ServerSource,
  parseVirtualAddress,
  readServers,
} from '../../../../../src/tools/inspect/ipvs/servers.ts';
import { ROUND_ROBIN, address, ipvsServer, real, stats } from './samples.ts';

const ALL: ServerFilter = { virtual: undefined, service: undefined };

/** Holds these servers, and notes what it was asked for. */
class Source implements ServerSource {
  readonly asked: string[] = [];
  readonly #servers: readonly VirtualServerListing[];

  constructor(servers: readonly VirtualServerListing[]) {
    this.#servers = servers;
  }

  async *servers(): AsyncGenerator<VirtualServerListing, void, undefined> {
    this.asked.push('all');
    yield* this.#servers;
  }

  virtualServer(name: VirtualName): VirtualServerListing | undefined {
    this.asked.push('one');
    return this.#servers.find((server) => JSON.stringify(server.name) === JSON.stringify(name));
  }

  realServers(name: VirtualName): VirtualServerListing['realServers'] {
    return this.virtualServer(name)?.realServers ?? [];
  }
}

function at(text: string): VirtualServerListing {
  return ipvsServer('TCP', text, 80);
}

/** Address and port of an argument. */
function parsed(text: string): readonly unknown[] | undefined {
  const virtual = parseVirtualAddress('TCP', text);
  return virtual && [virtual.address, virtual.port];
}

/** Addresses, or marks, of what is read. */
async function read(
  servers: readonly VirtualServerListing[],
  filter: Partial<ServerFilter> = {},
  names: ServiceNames = (name) => ('mark' in name ? undefined : `shop/${name.address}:http`),
): Promise<readonly string[]> {
  const found = await readServers(new Source(servers), { ...ALL, ...filter }, names);
  return found.map(({ name }) => ('mark' in name ? `mark ${name.mark}` : name.address));
}

describe('The order', () => {
  test('is that of marks, families, protocols, addresses, ports', async () => {
    const source = new Source([
      { ...at('10.0.0.1'), name: { mark: 1, family: 'IPv6' } },
      ipvsServer('SCTP', '10.0.0.1', 80),
      ipvsServer('TCP', 'fd00::1', 80),
      ipvsServer('TCP', '10.0.0.2', 80),
      ipvsServer('UDP', '10.0.0.1', 80),
      { ...at('10.0.0.1'), name: { mark: 1, family: 'IPv4' } },
      ipvsServer('TCP', '10.0.0.1', 443),
      ipvsServer('TCP', '10.0.0.1', 80),
    ]);
    const found = await readServers(source, ALL, undefined);
    assert.deepEqual(
      found.map(({ name }) =>
        'mark' in name ? name.family : `${name.protocol} ${name.address} ${name.port}`,
      ),
      [
        'TCP 10.0.0.1 80',
        'TCP 10.0.0.1 443',
        'TCP 10.0.0.2 80',
        'UDP 10.0.0.1 80',
        'SCTP 10.0.0.1 80',
        'TCP fd00::1 80',
        'IPv4',
        'IPv6',
      ],
    );
  });

  test('takes the difference of addresses for a signed number, as ipvsadm does', async () => {
    assert.deepEqual(await read([at('10.0.0.1'), at('192.168.0.1')]), ['192.168.0.1', '10.0.0.1']);
    assert.deepEqual(await read([at('192.168.0.1'), at('127.0.0.1')]), [
      '127.0.0.1',
      '192.168.0.1',
    ]);
    // Each is before the next, and the last before the first: the result depends on the sorting.
    const circle = ['10.0.0.1', '127.0.0.1', '192.168.0.1'];
    assert.deepEqual(await read(circle.map(at)), circle);
    assert.deepEqual(await read(circle.toReversed().map(at)), [
      '192.168.0.1',
      '10.0.0.1',
      '127.0.0.1',
    ]);
  });

  test('is that of addresses and ports among real servers', async () => {
    const realServers = [real('10.0.0.2'), real('10.0.0.1', { port: 9000 }), real('10.0.0.1')];
    const source = new Source([ipvsServer('TCP', '10.96.0.1', 80, { realServers })]);
    const [server] = await readServers(source, ALL, undefined);
    assert.deepEqual(
      server?.realServers.map((one) => `${one.address}:${one.port}`),
      ['10.0.0.1:8080', '10.0.0.1:9000', '10.0.0.2:8080'],
    );
  });
});

describe('The filter', () => {
  const servers = [
    ipvsServer('TCP', '10.0.0.1', 80),
    ipvsServer('TCP', '10.0.0.12', 80),
    { ...ipvsServer('TCP', '10.0.0.1', 80), name: { mark: 7, family: 'IPv4' } as const },
  ];

  test('by Service takes all of its ports and no Service of a longer name', async () => {
    assert.deepEqual(await read(servers, { service: 'shop/10.0.0.1' }), ['10.0.0.1']);
    assert.deepEqual(await read(servers, { service: 'shop/10.0.0.1:http' }), ['10.0.0.1']);
    assert.deepEqual(await read(servers, { service: 'shop/10.0.0.1:https' }), []);
    assert.deepEqual(await read(servers), ['10.0.0.1', '10.0.0.12', 'mark 7']);
  });

  test('by address reads that server alone', async () => {
    const source = new Source(servers);
    const virtual = { protocol: 'TCP', address: address('10.0.0.12'), port: 80 } as const;
    const found = await readServers(source, { ...ALL, virtual }, undefined);
    assert.equal(found.length, 1);
    assert.ok(!source.asked.includes('all'));
  });

  test('by an address that has no server says so', async () => {
    const virtual = { protocol: 'UDP', address: address('10.0.0.1'), port: 53 } as const;
    await assert.rejects(read(servers, { virtual }), (error) => {
      assert.ok(error instanceof ToolError);
      assert.equal(error.code, 'SY_NO_SUCH_SERVER');
      assert.match(error.message, /UDP 10\.0\.0\.1:53/);
      return true;
    });
  });
});

test('addresses are read as ipvsadm writes them, and nothing else', () => {
  assert.deepEqual(parsed('10.96.0.1:80'), ['10.96.0.1', 80]);
  assert.deepEqual(parsed('[fd00:0::1]:65535'), ['fd00::1', 65_535]);
  assert.deepEqual(parsed('10.96.0.1'), ['10.96.0.1', 0]);
  assert.deepEqual(parsed('[fd00::1]'), ['fd00::1', 0]);
  const wrong = [
    '',
    ':80',
    '10.96.0.1:',
    '10.96.0.1:http',
    '10.96.0.1:65536',
    '10.96.0:80',
    'fd00::1:80',
    'fd00::1',
    '[10.96.0.1]:80',
    '[fd00::1:80',
    'localhost:80',
    '10.96.0.1:80 ',
  ];
  for (const text of wrong) assert.equal(parsed(text), undefined, text);
});

test('a document names what is there, flags by their names', () => {
  const server = ipvsServer('TCP', '10.96.0.1', 80, {
    scheduling: { ...ROUND_ROBIN, scheduler: 'mh', schedulerFlags: 2 },
    service: 'shop/web',
    realServers: [real('10.0.0.1')],
  });
  const mark = { ...server, name: { mark: 7, family: 'IPv6' } as const, service: undefined };
  const info = { version: '1.2.1', connectionTableSize: 4096 };
  const document = serversDocument(info, [server, mark]);
  assert.deepEqual(JSON.parse(JSON.stringify(document)), {
    version: '1.2.1',
    connectionTableSize: 4096,
    virtualServers: [
      {
        protocol: 'TCP',
        address: '10.96.0.1',
        port: 80,
        service: 'shop/web',
        scheduler: 'mh',
        schedulerFlags: ['mh-port'],
        onePacket: false,
        stats: stats({}),
        realServers: [real('10.0.0.1')],
      },
      {
        mark: 7,
        family: 'IPv6',
        scheduler: 'mh',
        schedulerFlags: ['mh-port'],
        onePacket: false,
        stats: stats({}),
        realServers: [real('10.0.0.1')],
      },
    ],
  });
});
