/** Addresses and their changes on the real kernel, beside what ip(8) lists. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import type { KernelIo } from '../../../src/kernel/io.ts';
import { AddressWatcher } from '../../../src/kernel/rtnetlink/address-watcher.ts';
import { type InterfaceAddress, RouteSocket } from '../../../src/kernel/rtnetlink/socket.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { shell } from './helpers.ts';

/** `address/prefix interface`, sorted. */
function texts(addresses: readonly InterfaceAddress[]): string[] {
  return addresses
    .map(({ address, prefix, interfaceName }) => `${address}/${prefix} ${interfaceName ?? '?'}`)
    .toSorted();
}

/** The same from `ip`, in words: `1: lo    inet 127.0.0.1/8 scope host lo`. */
function textsOfIp(): string[] {
  return shell('ip -oneline address show')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, name = '', , address = '', peerWord = '', peer = ''] = line.trim().split(/\s+/);
      const prefix = peerWord === 'peer' ? `/${peer.split('/')[1] ?? ''}` : '';
      return `${address}${prefix} ${name}`;
    })
    .toSorted();
}

/** Takes lists from a watcher until one satisfies a condition. */
async function until(
  lists: AsyncIterator<readonly InterfaceAddress[]>,
  wanted: (texts: readonly string[]) => boolean,
): Promise<readonly string[]> {
  for (;;) {
    const result = await lists.next();
    assert.ok(result.done !== true, 'the watcher ended');
    const found = texts(result.value);
    if (wanted(found)) return found;
  }
}

/** The real kernel with the smallest room for events. */
function withTinyReceiveBuffer(): KernelIo {
  const io = openKernelIo();
  const SO_RCVBUF = 8;
  const SO_RCVBUFFORCE = 33;
  return {
    ...io,
    setsockopt: (fd, level, option, value) =>
      option === SO_RCVBUFFORCE
        ? io.setsockopt(fd, level, SO_RCVBUF, Buffer.alloc(4))
        : io.setsockopt(fd, level, option, value),
  };
}

inNamespace(import.meta.filename, () => {
  beforeEach(() => {
    shell(
      'ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && ip address add 10.1.2.3/24 dev v0 && ip address add fd00::1/64 dev v0 nodad',
    );
  });
  afterEach(() => {
    // A test may have renamed or deleted it.
    shell('for link in v0 v1 renamed; do ip link delete $link 2>/dev/null; done; true');
  });

  describe('Listing', () => {
    test('gives the addresses ip lists, with our side of point-to-point links', () => {
      shell('ip address add 10.9.9.1 peer 10.9.9.2/32 dev v0');
      const socket = RouteSocket.open(openKernelIo());
      const addresses = socket.listAddresses();
      assert.deepEqual(texts(addresses), textsOfIp());
      assert.ok(texts(addresses).includes('10.9.9.1/32 v0'));
      const scopes = new Map(addresses.map(({ address, scope }) => [String(address), scope]));
      assert.equal(scopes.get('127.0.0.1'), 'host');
      assert.equal(scopes.get('10.1.2.3'), 'global');
      const linkLocal = addresses.find(({ address }) => address.startsWith('fe80:'));
      assert.equal(linkLocal?.scope, 'link');
      socket.close();
    });

    test('gives many addresses, over several datagrams', () => {
      const lines = Array.from({ length: 2000 }).map(
        (_, index) => `address add 10.7.${index >> 8}.${index & 255}/32 dev v0`,
      );
      shell('ip -batch -', lines.join('\n'));
      const socket = RouteSocket.open(openKernelIo());
      assert.deepEqual(texts(socket.listAddresses()), textsOfIp());
      socket.close();
    });

    test('gives the links', () => {
      const socket = RouteSocket.open(openKernelIo());
      const links = socket.listLinks().map(({ name }) => name);
      assert.deepEqual(links.toSorted(), ['lo', 'v0', 'v1']);
      socket.close();
    });
  });

  describe('Watching', () => {
    test('gives the list at once, and again when addresses come and go', async () => {
      await using watcher = AddressWatcher.open(openKernelIo());
      const lists = watcher[Symbol.asyncIterator]();
      const first = await lists.next();
      assert.deepEqual(texts(first.value ?? []), textsOfIp());
      shell('ip address add 10.1.2.4/24 dev v0');
      const added = await until(lists, (found) => found.includes('10.1.2.4/24 v0'));
      assert.ok(added.includes('10.1.2.3/24 v0'));
      shell('ip address delete 10.1.2.4/24 dev v0; ip address delete fd00::1/64 dev v0');
      const removed = await until(lists, (found) => !found.includes('fd00::1/64 v0'));
      assert.ok(!removed.includes('10.1.2.4/24 v0'));
      assert.ok(removed.includes('10.1.2.3/24 v0'));
    });

    test('follows links that are renamed, made and deleted', async () => {
      await using watcher = AddressWatcher.open(openKernelIo());
      const lists = watcher[Symbol.asyncIterator]();
      shell('ip link set v0 down; ip link set v0 name renamed; ip link set renamed up');
      await until(lists, (found) => found.includes('10.1.2.3/24 renamed'));
      shell('ip link delete renamed');
      const left = await until(lists, (found) => !found.includes('10.1.2.3/24 renamed'));
      assert.ok(left.every((text) => text.endsWith(' lo')));
      shell('ip link add v0 type veth peer name v1; ip address add 10.8.0.1/24 dev v0');
      await until(lists, (found) => found.includes('10.8.0.1/24 v0'));
    });

    test('reads the list again when the kernel dropped events', async () => {
      await using watcher = AddressWatcher.open(withTinyReceiveBuffer());
      const lists = watcher[Symbol.asyncIterator]();
      await lists.next();
      const lines = Array.from({ length: 500 }).map(
        (_, index) => `address add 10.7.${index >> 8}.${index & 255}/32 dev v0`,
      );
      shell('ip -batch -', lines.join('\n'));
      const expected = textsOfIp();
      const found = await until(lists, (list) => list.length === expected.length);
      assert.deepEqual(found, expected);
    });

    test('ends at once when it is closed, while nothing happens', async () => {
      const watcher = AddressWatcher.open(openKernelIo());
      const lists = watcher[Symbol.asyncIterator]();
      await lists.next();
      const waiting = lists.next();
      const start = performance.now();
      await watcher.close();
      assert.equal((await waiting).done, true);
      // A read that is left to its timeout takes a second.
      assert.ok(performance.now() - start < 700, `${performance.now() - start} ms`);
      await watcher.close();
    });
  });

  test('there are no local routes where no link was ever up', () => {
    const program = `${import.meta.dirname}/programs/local-routes.ts`;
    assert.equal(shell(`unshare --net ${process.execPath} ${program}`), '[]');
  });
});
