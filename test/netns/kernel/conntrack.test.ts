/** Deleting stale UDP entries on the real kernel, beside what conntrack(8) lists. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { type Address, type Family, parseAddress } from '../../../src/core/ip.ts';
import { Conntrack, type StaleUdp } from '../../../src/kernel/conntrack/conntrack.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { shell } from './helpers.ts';

interface Entry {
  readonly protocol?: 'udp' | 'tcp' | 'sctp';
  readonly family?: Family;
  readonly clientPort: number;
  readonly destination: string;
  readonly port: number;
  readonly endpoint: string;
  readonly zone?: number;
}

const STATE = {
  udp: '',
  tcp: '--state ESTABLISHED',
  sctp: '--state ESTABLISHED --orig-vtag 1 --reply-vtag 1',
} as const;

/** One line of `conntrack -I`. */
function insertion(entry: Entry): string {
  const { protocol = 'udp', family = 'IPv4', clientPort, destination, port, endpoint } = entry;
  const client = family === 'IPv4' ? '10.0.0.1' : 'fd00::1';
  const zone = entry.zone === undefined ? '' : `--zone ${entry.zone}`;
  return `conntrack -I -p ${protocol} ${STATE[protocol]} -s ${client} -d ${destination} --sport ${clientPort} --dport ${port} -r ${endpoint} -q ${client} --reply-port-src 5353 --reply-port-dst ${clientPort} -t 300 ${zone}`;
}

function insert(...entries: readonly Entry[]): void {
  shell(entries.map((entry) => insertion(entry)).join(' && '));
}

/** `protocol client-port` of every entry left, sorted. */
function left(): string[] {
  return shell('conntrack -L; conntrack -L -f ipv6')
    .split('\n')
    .map((line) => /^(?<protocol>\w+) .*? sport=(?<port>\d+)/.exec(line)?.groups)
    .filter((groups) => groups !== undefined)
    .map(({ protocol, port }) => `${protocol} ${port}`)
    .filter((text, index, all) => all.indexOf(text) === index)
    .toSorted();
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

function stale(destination: string, port: number, more: Partial<StaleUdp> = {}): StaleUdp {
  const family = destination.includes(':') ? 'IPv6' : 'IPv4';
  return { family, address: address(destination), port, keep: new Set(), ...more };
}

async function deleteStale(...items: readonly StaleUdp[]): Promise<number> {
  const conntrack = Conntrack.open(openKernelIo());
  try {
    return await conntrack.deleteStaleUdp(items);
  } finally {
    conntrack.close();
  }
}

inNamespace(import.meta.filename, () => {
  afterEach(() => {
    shell('conntrack -F');
  });

  const dns = { destination: '10.96.0.1', port: 53 } as const;

  describe('Deleting stale UDP entries', () => {
    test('takes those to gone endpoints and leaves those to good ones', async () => {
      insert(
        { ...dns, clientPort: 1001, endpoint: '10.128.0.1' },
        { ...dns, clientPort: 1002, endpoint: '10.128.0.2' },
        { ...dns, clientPort: 1003, endpoint: '10.128.0.3' },
      );
      const keep = new Set(['10.128.0.2:5353']);
      assert.equal(await deleteStale(stale('10.96.0.1', 53, { keep })), 2);
      assert.deepEqual(left(), ['udp 1002']);
    });

    test('takes only those to the endpoints in question where there are some', async () => {
      insert(
        { ...dns, clientPort: 1001, endpoint: '10.128.0.1' },
        { ...dns, clientPort: 1002, endpoint: '10.128.0.2' },
      );
      const only = new Set(['10.128.0.1:5353']);
      assert.equal(await deleteStale(stale('10.96.0.1', 53, { only })), 1);
      assert.deepEqual(left(), ['udp 1002']);
    });

    test('never touches TCP, SCTP, other ports or other addresses', async () => {
      const endpoint = '10.128.0.1';
      insert(
        { ...dns, clientPort: 1001, endpoint },
        { ...dns, clientPort: 1002, endpoint, protocol: 'tcp' },
        { ...dns, clientPort: 1003, endpoint, protocol: 'sctp' },
        { ...dns, clientPort: 1004, endpoint, port: 54 },
        { ...dns, clientPort: 1005, endpoint, destination: '10.96.0.2' },
      );
      assert.equal(await deleteStale(stale('10.96.0.1', 53)), 1);
      assert.deepEqual(left(), ['sctp 1003', 'tcp 1002', 'udp 1004', 'udp 1005']);
    });

    test('finds entries in conntrack zones', async () => {
      insert(
        { ...dns, clientPort: 1001, endpoint: '10.128.0.1', zone: 7 },
        { ...dns, clientPort: 1002, endpoint: '10.128.0.2', zone: 8 },
      );
      const keep = new Set(['10.128.0.2:5353']);
      assert.equal(await deleteStale(stale('10.96.0.1', 53, { keep })), 1);
      assert.deepEqual(left(), ['udp 1002']);
    });

    test('in both families and for several destinations at once', async () => {
      insert(
        { ...dns, clientPort: 1001, endpoint: '10.128.0.1' },
        { ...dns, clientPort: 1002, endpoint: '10.128.0.1', destination: '10.96.0.2' },
        { ...dns, clientPort: 1003, endpoint: '10.128.0.1', destination: '10.96.0.3', port: 514 },
        { clientPort: 2001, family: 'IPv6', destination: 'fd96::1', port: 53, endpoint: 'fd01::1' },
        { clientPort: 2002, family: 'IPv6', destination: 'fd96::1', port: 53, endpoint: 'fd01::2' },
        { clientPort: 2003, family: 'IPv6', destination: 'fd96::2', port: 53, endpoint: 'fd01::1' },
      );
      const count = await deleteStale(
        stale('10.96.0.1', 53),
        stale('10.96.0.3', 514),
        stale('fd96::1', 53, { keep: new Set(['[fd01::2]:5353']) }),
      );
      assert.equal(count, 3);
      assert.deepEqual(left(), ['udp 1002', 'udp 2002', 'udp 2003']);
    });

    test('takes hundreds, over several requests', async () => {
      const entries = Array.from({ length: 400 }).map((_, index) => ({
        clientPort: 2000 + index,
        destination: dns.destination,
        port: dns.port,
        endpoint: '10.128.0.1',
      }));
      insert(...entries);
      insert({ ...dns, clientPort: 1, endpoint: '10.128.0.2' });
      const keep = new Set(['10.128.0.2:5353']);
      assert.equal(await deleteStale(stale('10.96.0.1', 53, { keep })), 400);
      assert.deepEqual(left(), ['udp 1']);
    });

    test('with nothing to delete deletes nothing', async () => {
      insert({ ...dns, clientPort: 1001, endpoint: '10.128.0.1' });
      assert.equal(await deleteStale(), 0);
      assert.equal(await deleteStale(stale('10.96.0.9', 53)), 0);
      assert.deepEqual(left(), ['udp 1001']);
    });
  });

  test('listing gives the UDP entries of a family and no others', async () => {
    insert(
      { ...dns, clientPort: 1001, endpoint: '10.128.0.1' },
      { ...dns, clientPort: 1002, endpoint: '10.128.0.1', protocol: 'tcp' },
      { clientPort: 2001, family: 'IPv6', destination: 'fd96::1', port: 53, endpoint: 'fd01::1' },
    );
    const conntrack = Conntrack.open(openKernelIo());
    const [v4, v6] = await Promise.all([conntrack.listUdp('IPv4'), conntrack.listUdp('IPv6')]);
    conntrack.close();
    assert.deepEqual(v4, [
      {
        source: '10.0.0.1:1001',
        destination: '10.96.0.1:53',
        replySource: '10.128.0.1:5353',
        replyDestination: '10.0.0.1:1001',
      },
    ]);
    assert.deepEqual(
      v6.map(({ destination, replySource }) => [destination, replySource]),
      [['[fd96::1]:53', '[fd01::1]:5353']],
    );
  });
});
