/** System calls, sockets and rights on the real kernel. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { KernelIo } from '../../../src/kernel/io.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { NETLINK_ROUTE, NLM_F } from '../../../src/kernel/netlink/constants.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.ts';
import { NftBatch } from '../../../src/kernel/nftables/batch.ts';
import { NftSocket } from '../../../src/kernel/nftables/socket.ts';
import { IFA, RTM } from '../../../src/kernel/rtnetlink/constants.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { kernelError } from './helpers.ts';

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const EPERM = 1;
const EBADF = 9;
const EAGAIN = 11;

function program(name: string): string {
  return join(import.meta.dirname, 'programs', name);
}

/** The real kernel, but without the right to force buffer sizes, and with a small limit. */
function withSmallSendBuffer(): KernelIo {
  const io = openKernelIo();
  const size = Buffer.alloc(4);
  size.writeInt32LE(50_000);
  return {
    ...io,
    setsockopt: (fd, level, option, value) => {
      if (level !== SOL_SOCKET) return io.setsockopt(fd, level, option, value);
      if (option === SO_SNDBUFFORCE) return -EPERM;
      return io.setsockopt(fd, level, option, option === SO_SNDBUF ? size : value);
    },
  };
}

inNamespace(import.meta.filename, () => {
  describe('System calls', () => {
    test('refuse buffers without bytes before native code sees them', async () => {
      const io = openKernelIo();
      const empty = new Uint8Array(0);
      const calls: readonly (() => unknown)[] = [
        () => io.bind(0, empty),
        () => io.setsockopt(0, 1, 1, empty),
        () => io.send(0, empty),
        () => io.recv(0, empty, 0),
      ];
      for (const call of calls) assert.throws(call, kernelError('SY_KERNEL_ARGUMENT'));
      await assert.rejects(io.readAsync(0, empty), kernelError('SY_KERNEL_ARGUMENT'));
      await assert.rejects(io.writeAsync(0, empty), kernelError('SY_KERNEL_ARGUMENT'));
    });

    test('give negative error numbers', async () => {
      const io = openKernelIo();
      const bytes = Buffer.alloc(4);
      assert.equal(io.send(-1, bytes), -EBADF);
      assert.equal(io.recv(-1, bytes, 0), -EBADF);
      assert.equal(io.bind(-1, bytes), -EBADF);
      assert.equal(io.setsockopt(-1, 1, 1, bytes), -EBADF);
      assert.equal(io.getsockopt(-1, 1, 1), -EBADF);
      assert.equal(io.close(-1), -EBADF);
      const fd = io.socket(16, 3, NETLINK_ROUTE);
      assert.ok(fd > 2);
      assert.equal(io.recv(fd, bytes, 0x40), -EAGAIN);
      // A timeout of 50 ms: the read on another thread ends by itself.
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(50_000n, 8);
      assert.equal(io.setsockopt(fd, SOL_SOCKET, 20, timeout), 0);
      assert.equal(await io.readAsync(fd, bytes), -EAGAIN);
      assert.equal(io.close(fd), 0);
    });
  });

  describe('Sockets', () => {
    test('of protocols the kernel does not have are UNSUPPORTED', () => {
      assert.throws(
        () => NetlinkSocket.open(openKernelIo(), { protocol: 31, name: 'strange' }),
        kernelError('SY_KERNEL_UNSUPPORTED', /opening a strange socket: .*EPROTONOSUPPORT/),
      );
    });

    test('tell refusals in the words of the kernel', () => {
      const socket = NetlinkSocket.open(openKernelIo(), { protocol: NETLINK_ROUTE, name: 'test' });
      const writer = new NetlinkWriter();
      const sequence = socket.sequences(1);
      writer.begin(RTM.NEWADDR, NLM_F.REQUEST | NLM_F.ACK, sequence);
      // IPv4, an impossible prefix of 33 bits, interface 1.
      writer.raw(Uint8Array.of(2, 33, 0, 0, 1, 0, 0, 0));
      writer.bytes(IFA.LOCAL, Uint8Array.of(10, 0, 0, 1));
      writer.end();
      const [refusal] = socket.exchange(writer.written(), sequence, sequence, 'adding an address');
      assert.equal(refusal?.errno, 22);
      assert.match(refusal.message ?? '', /Invalid prefix length/);
      socket.close();
    });

    test('with a small send buffer say so when a batch is too large, and go on', () => {
      const socket = NftSocket.open(withSmallSendBuffer());
      const batch = new NftBatch();
      batch.addTable('IPv4', 't');
      batch.addSet('IPv4', 't', { name: 's', key: ['ipv4_addr'] });
      const before = socket.generation();
      const key = Buffer.alloc(4);
      for (let index = 0; batch.byteLength <= socket.maxBatchBytes; index++) {
        key.writeUInt32BE(index);
        batch.addElement('IPv4', 't', 's', key);
      }
      assert.throws(
        () => {
          socket.commit(batch);
        },
        kernelError('SY_KERNEL_BUFFER', /where the socket takes \d+: .*net\.core\.wmem_max/),
      );
      assert.equal(socket.generation(), before);
      assert.deepEqual(socket.tables('IPv4'), []);
      socket.close();
    });

    test('take a batch of the size they name', () => {
      const socket = NftSocket.open(withSmallSendBuffer());
      const batch = new NftBatch();
      batch.addTable('IPv4', 't');
      batch.addSet('IPv4', 't', { name: 's', key: ['ipv4_addr'] });
      const key = Buffer.alloc(4);
      for (let index = 0; batch.byteLength + 100 < socket.maxBatchBytes; index++) {
        key.writeUInt32BE(index);
        batch.addElement('IPv4', 't', 's', key);
      }
      socket.commit(batch);
      assert.equal(socket.elements('IPv4', 't', 's').length, batch.operations - 2);
      batch.reset();
      batch.deleteTable('IPv4', 't');
      socket.commit(batch);
      socket.close();
    });
  });

  test('without CAP_NET_ADMIN each change says which right is missing, and reading addresses works', () => {
    const drop = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    const output = execFileSync(
      'setpriv',
      [...drop, process.execPath, program('without-rights.ts')],
      {
        encoding: 'utf8',
      },
    );
    const results: unknown = JSON.parse(output);
    assert.ok(typeof results === 'object' && results !== null);
    const { addresses, ...refused } = { addresses: undefined, ...results };
    assert.equal(addresses, 'done');
    assert.deepEqual(Object.keys(refused), ['generation', 'commit', 'tables', 'conntrack']);
    for (const [name, result] of Object.entries(refused)) {
      assert.match(String(result), /^SY_KERNEL_PERMISSION .*EPERM.*CAP_NET_ADMIN/, name);
    }
  });

  test('a process that watches addresses can exit', () => {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, [program('exit-while-watching.ts')], {
      timeout: 20_000,
    });
    assert.equal(status, 7);
    assert.ok(performance.now() - start < 15_000);
  });
});
