/** Watches addresses and exits without closing the watcher, as a program that fails somewhere else does. */
import { openKernelIo } from '../../../../src/kernel/koffi-io.ts';
import { AddressWatcher } from '../../../../src/kernel/rtnetlink/address-watcher.ts';

const watcher = AddressWatcher.open(openKernelIo());
for await (const _ of watcher) {
  // The next read is under way when this runs, and blocks: nothing changes.
  setTimeout(() => process.exit(7), 50);
}
