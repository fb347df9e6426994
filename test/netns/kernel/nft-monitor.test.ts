/** Reports of changes to nf_tables on the real kernel. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { NftMonitor, type Reports } from '../../../src/kernel/nftables/monitor.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { commit, flushRuleset, loadRuleset, withNft } from './helpers.ts';

inNamespace(import.meta.filename, () => {
  afterEach(flushRuleset);

  test(
    'changes of others to the table are told from our own and from those to other tables',
    withNft((socket) => {
      commit(socket, (batch) => {
        batch.addTable('IPv4', 'ours');
        batch.addSet('IPv4', 'ours', { name: 's', key: ['ipv4_addr'] });
      });
      socket.generation();
      const monitor = NftMonitor.open(openKernelIo(), 'ours');
      const drain = (): Reports => monitor.drain(socket.port);
      assert.equal(drain(), 'untouched');
      commit(socket, (batch) => {
        batch.addElement('IPv4', 'ours', 's', Uint8Array.of(1, 2, 3, 4));
      });
      assert.equal(drain(), 'untouched');
      loadRuleset('add table ip others; add table ip ours-too; add chain ip others c');
      assert.equal(drain(), 'untouched');
      for (const change of [
        'add element ip ours s { 1.2.3.5 }',
        'flush set ip ours s',
        'add chain ip ours c',
        'add rule ip ours c drop',
        'flush chain ip ours c',
        'delete chain ip ours c',
        'delete table ip ours',
        'add table ip6 ours',
      ]) {
        loadRuleset(change);
        assert.equal(drain(), 'touched', change);
        assert.equal(drain(), 'untouched', `once more after ${change}`);
      }
      monitor.close();
    }),
  );

  test(
    'reports that did not fit are known to be lost',
    withNft((socket) => {
      const io = openKernelIo();
      const monitor = NftMonitor.open(
        {
          ...io,
          // The smallest receive buffer, in place of the forced one.
          setsockopt: (fd, level, option, value) =>
            option === 33
              ? io.setsockopt(fd, level, 8, Buffer.alloc(4))
              : io.setsockopt(fd, level, option, value),
        },
        'ours',
      );
      commit(socket, (batch) => {
        batch.addTable('IPv4', 'ours');
        for (let index = 0; index < 500; index++) {
          batch.addChain('IPv4', 'ours', { name: `chain-${index}` });
        }
      });
      socket.generation();
      assert.equal(monitor.drain(socket.port), 'lost');
      assert.equal(monitor.drain(socket.port), 'untouched');
      monitor.close();
    }),
  );
});
