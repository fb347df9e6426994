/** IpsetSocket against a kernel with every set type, and against what ipset says of it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Cidr, parseCidr } from '../../../src/core/ip.ts';
import type { SetDefinition, SetType } from '../../../src/kernel/ipset/sets.ts';
import { IpsetBatch, type IpsetRefusal, IpsetSocket } from '../../../src/kernel/ipset/socket.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { kernelError, shell } from '../../netns/kernel/helpers.ts';
import { address, withIpvs } from './helpers.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function define<T extends SetType>(name: string, type: T): SetDefinition<T> {
  return { name, type, family: 'IPv4' };
}

/** Lines of `ipset save`, without what differs from run to run. */
function saved(): string[] {
  return shell('ipset save -sorted')
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace(/ bucketsize \d+ initval 0x[0-9a-f]+/, ''));
}

withIpvs(import.meta.filename, () => {
  let socket: IpsetSocket;
  const run = (fill: (batch: IpsetBatch) => void): Promise<readonly IpsetRefusal[]> => {
    const batch = new IpsetBatch();
    fill(batch);
    return socket.commit(batch);
  };
  before(() => {
    socket = IpsetSocket.open(openKernelIo());
  });
  after(() => {
    socket.close();
  });
  afterEach(() => {
    // Sets that others refer to cannot be destroyed.
    shell('iptables -F; ipset flush; ipset destroy');
  });

  test('tells the protocol of the kernel', () => {
    const { version, oldest } = socket.protocol();
    assert.ok(oldest <= 6 && version >= 6, `${oldest} to ${version}`);
  });

  test('sets of every type and their elements are made as ipset would make them', async () => {
    const ip = define('ip', 'hash:ip');
    const net = define('net', 'hash:net');
    const port = define('port', 'hash:ip,port');
    const portIp = define('port-ip', 'hash:ip,port,ip');
    const portNet = define('port-net', 'hash:ip,port,net');
    const netNet = define('net-net', 'hash:net,net');
    const ports = define('ports', 'bitmap:port');
    const ip6 = { ...define('ip6', 'hash:ip'), family: 'IPv6' } as const;
    const net6 = { ...define('net6', 'hash:net'), family: 'IPv6' } as const;
    for (const set of [ip, net, port, portIp, portNet, netNet, ports, net6]) socket.create(set);
    socket.create({ ...ip6, timeout: 600, counters: true, comments: true, maxElements: 9 });
    const refused = await run((batch) => {
      batch.add(ip, { ip: address('10.96.0.1') });
      batch.add(ip, { ip: address('10.96.0.2') });
      batch.delete(ip, { ip: address('10.96.0.2') });
      batch.add(net, { net: cidr('10.0.0.0/8') });
      batch.add(net, { net: cidr('10.1.0.0/16'), except: true });
      batch.add(net, { ip: address('192.168.0.0'), ipTo: address('192.168.2.255') });
      batch.add(port, { ip: address('10.96.0.1'), protocol: 'TCP', port: 80 });
      batch.add(portIp, {
        ip: address('10.128.0.1'),
        protocol: 'SCTP',
        port: 9,
        ip2: address('10.128.0.1'),
      });
      const source = { ip: address('10.96.0.1'), protocol: 'UDP', port: 53 } as const;
      batch.add(portNet, { ...source, net2: cidr('10.0.0.0/8') });
      batch.add(portNet, { ...source, net2: cidr('10.1.0.0/16'), except: true });
      batch.add(netNet, { net: cidr('10.0.0.0/8'), net2: cidr('192.168.0.1/32') });
      batch.add(ports, { port: 30_080 });
      batch.add(ip6, { ip: address('fd96::1'), timeout: 0, comment: 'one address' });
      batch.add(net6, { net: cidr('fd00::/8') });
    });
    assert.deepEqual(refused, []);
    const hash = 'family inet hashsize 1024 maxelem 65536';
    assert.deepEqual(saved(), [
      `create ip hash:ip ${hash}`,
      'add ip 10.96.0.1',
      `create net hash:net ${hash}`,
      'add net 10.0.0.0/8',
      'add net 10.1.0.0/16 nomatch',
      'add net 192.168.0.0/23',
      'add net 192.168.2.0/24',
      `create port hash:ip,port ${hash}`,
      'add port 10.96.0.1,tcp:80',
      `create port-ip hash:ip,port,ip ${hash}`,
      'add port-ip 10.128.0.1,sctp:9,10.128.0.1',
      `create port-net hash:ip,port,net ${hash}`,
      'add port-net 10.96.0.1,udp:53,10.0.0.0/8',
      'add port-net 10.96.0.1,udp:53,10.1.0.0/16 nomatch',
      `create net-net hash:net,net ${hash}`,
      'add net-net 10.0.0.0/8,192.168.0.1',
      'create ports bitmap:port range 0-65535',
      'add ports 30080',
      'create net6 hash:net family inet6 hashsize 1024 maxelem 65536',
      'add net6 fd00::/8',
      'create ip6 hash:ip family inet6 hashsize 1024 maxelem 9 timeout 600 counters comment',
      'add ip6 fd96::1 timeout 0 packets 0 bytes 0 comment "one address"',
    ]);
  });

  test('sets made by ipset are listed', () => {
    shell(`ipset create a hash:ip,port,net family inet6 hashsize 64 maxelem 100 timeout 600 comment
      ipset add a fd96::1,tcp:80,fd00::/8 timeout 0 comment hello
      ipset create b hash:ip counters
      ipset add b 10.0.0.1 packets 3 bytes 4000000000000
      ipset create c list:set
      ipset add c a
      iptables -A INPUT -m set --match-set b src -j DROP`);
    const sets = socket.sets().map(({ memory, ...set }) => {
      assert.ok(memory > 0);
      return set;
    });
    const plain = {
      counters: false,
      comments: false,
      marks: false,
      timeout: undefined,
      references: 1,
    };
    assert.deepEqual(sets, [
      {
        ...plain,
        name: 'a',
        type: 'hash:ip,port,net',
        family: 'IPv6',
        revision: 8,
        timeout: 600,
        comments: true,
        maxElements: 100,
        hashSize: 64,
        elementCount: 1,
      },
      {
        ...plain,
        name: 'b',
        type: 'hash:ip',
        family: 'IPv4',
        revision: 5,
        counters: true,
        maxElements: 65_536,
        hashSize: 1024,
        elementCount: 1,
      },
      {
        ...plain,
        name: 'c',
        type: 'list:set',
        family: undefined,
        revision: 3,
        maxElements: 0,
        hashSize: 0,
        elementCount: 1,
        references: 0,
      },
    ]);
    const net2 = cidr('fd00::/8');
    const key = { ip: 'fd96::1', protocol: 'TCP', port: 80, net2 };
    assert.deepEqual(socket.elements('a'), [{ ...key, timeout: 0, comment: 'hello' }]);
    assert.deepEqual(socket.elements('b'), [
      { ip: '10.0.0.1', packets: 3, bytes: 4_000_000_000_000 },
    ]);
    assert.deepEqual(socket.elements('c'), [{}]);
    assert.throws(() => socket.elements('d'), kernelError('SY_KERNEL_NOT_FOUND', /ipset d/));
  });

  test('an element that is there is renewed, one that is not is no error to delete', async () => {
    const set = { ...define('s', 'hash:ip'), timeout: 600 };
    socket.create(set);
    socket.create(set);
    const refused = await run((batch) => {
      batch.add(set, { ip: address('10.0.0.1'), timeout: 0 });
      batch.add(set, { ip: address('10.0.0.1'), timeout: 300 });
      batch.delete(set, { ip: address('10.0.0.2') });
    });
    assert.deepEqual(refused, []);
    const [element] = socket.elements('s');
    assert.ok(element?.timeout !== undefined && element.timeout > 200, JSON.stringify(element));
  });

  test('sets are renamed, swapped, flushed and destroyed', async () => {
    const one = define('one', 'hash:ip');
    const two = define('two', 'hash:ip');
    socket.create(one);
    socket.create(two);
    await run((batch) => {
      batch.add(one, { ip: address('10.0.0.1') });
    });
    socket.swap('one', 'two');
    assert.deepEqual(socket.elements('one'), []);
    assert.deepEqual(socket.elements('two'), [{ ip: '10.0.0.1' }]);
    socket.rename('two', 'three');
    socket.flush('three');
    assert.deepEqual(socket.elements('three'), []);
    socket.destroy('one');
    assert.deepEqual(
      socket.sets().map(({ name }) => name),
      ['three'],
    );
  });

  describe('Refused', () => {
    test('calls say why, and what to do', () => {
      const set = define('s', 'hash:ip');
      socket.create(set);
      socket.create(define('n', 'hash:net'));
      shell('iptables -A INPUT -m set --match-set s src -j DROP');
      const calls: readonly (readonly [() => void, Parameters<typeof kernelError>])[] = [
        [
          () => {
            socket.destroy('s');
          },
          ['SY_KERNEL_BUSY', /^destroying ipset s: .*refers to it \(IPSET_ERR_BUSY\)\. Delete/],
        ],
        [
          () => {
            socket.rename('s', 't');
          },
          ['SY_KERNEL_BUSY', /^renaming ipset s to t: .*IPSET_ERR_REFERENCED/],
        ],
        [
          () => {
            socket.create({ ...set, family: 'IPv6' });
          },
          ['SY_KERNEL_EXISTS', /^creating ipset s: /],
        ],
        [
          () => {
            socket.swap('s', 'n');
          },
          ['SY_KERNEL_CALL', /^swapping ipsets s and n: .*different types/],
        ],
        [
          () => {
            socket.flush('nothing');
          },
          ['SY_KERNEL_NOT_FOUND', /^flushing ipset nothing: not found/],
        ],
      ];
      for (const [call, [code, pattern]] of calls) assert.throws(call, kernelError(code, pattern));
    });

    test('elements are named, with the reason; the others of the batch take effect', async () => {
      const full = { ...define('full', 'hash:ip'), maxElements: 1, hashSize: 64 };
      const net = define('net', 'hash:net');
      const gone = define('gone', 'bitmap:port');
      socket.create(full);
      socket.create(net);
      const refused = await run((batch) => {
        for (let last = 1; last < 250; last++) batch.add(full, { ip: address(`10.0.0.${last}`) });
        batch.add(net, { net: cidr('0.0.0.0/0') });
        batch.add(net, { net: cidr('fd00::/8') });
        batch.add(net, { net: cidr('10.0.0.0/8'), timeout: 5 });
        batch.add(gone, { port: 80 });
        batch.add(net, { net: cidr('11.0.0.0/8') });
      });
      const [first] = refused;
      assert.equal(first?.error.code, 'SY_KERNEL_SET_FULL');
      assert.match(
        first.error.message,
        /^adding 10\.0\.0\.\d+ to ipset full: the set is full \(IPSET_ERR_HASH_FULL\)\. Make/,
      );
      assert.deepEqual(
        refused
          .filter(({ command }) => command.set !== full)
          .map(({ error }) => error.message.replace(/;.*/, '')),
        [
          'adding 0.0.0.0/0 to ipset net: the prefix is out of range (IPSET_ERR_INVALID_CIDR)',
          'adding fd00::/8 to ipset net: a value that the set does not take, such as an address of another family (IPSET_ERR_PROTOCOL)',
          'adding 10.0.0.0/8 to ipset net: the set was made without timeouts (IPSET_ERR_TIMEOUT)',
          'adding 80 to ipset gone: not found (ENOENT)',
        ],
      );
      assert.deepEqual(socket.elements('net'), [{ net: cidr('11.0.0.0/8') }]);
    });
  });

  test('large sets are filled and listed whole', async () => {
    const set = { ...define('s', 'hash:ip,port'), hashSize: 1024 };
    socket.create(set);
    const refused = await run((batch) => {
      for (let at = 0; at < 5000; at++) {
        const ip = address(`10.96.${at >> 8}.${at & 255}`);
        batch.add(set, { ip, protocol: 'TCP', port: 80 });
      }
    });
    assert.deepEqual(refused, []);
    assert.equal(new Set(socket.elements('s').map(({ ip }) => ip)).size, 5000);
    assert.equal(socket.sets()[0]?.elementCount, 5000);
  });
});
