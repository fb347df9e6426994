/** Looks at the kernel from the daemon's namespace. It is asked over standard input (calls.ts). */
import { setImmediate } from 'node:timers/promises';
import { unpackAddress } from '../../src/core/ip.ts';
import { openKernelIo } from '../../src/kernel/koffi-io.ts';
import { NETLINK_NETFILTER } from '../../src/kernel/netlink/constants.ts';
import { MessageCursor } from '../../src/kernel/netlink/reader.ts';
import { NetlinkSocket } from '../../src/kernel/netlink/socket.ts';
import { NFT_MSG } from '../../src/kernel/nftables/constants.ts';
import { ElementReader } from '../../src/kernel/nftables/elements.ts';
import { openNftablesPlane } from '../../src/planes/nftables/plane.ts';
import { serveCalls } from '../../test/lab/line-process.ts';
import { now } from '../statistics.ts';
import type { Change, KernelCalls } from './calls.ts';

/** NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h) as a bit of `nl_groups`. */
const GROUP_NFTABLES = 1 << (7 - 1);
/** Longest time that a call waits while nothing changes in the kernel. */
const WAIT_MS = 50;
/** Bytes of an endpoint in a map: address and port, each filled up to 4. */
const ENDPOINT_BYTES = 8;

const io = openKernelIo();
const element = new ElementReader();
const changes: Change[] = [];
let transactions = 0;

/** Blocks in recv(2) and not in the event loop, which would look at the clock later. Never ends. */
async function listen(): Promise<void> {
  const socket = NetlinkSocket.open(io, {
    protocol: NETLINK_NETFILTER,
    name: 'nf_tables events',
    groups: GROUP_NFTABLES,
    timeoutMs: WAIT_MS,
    receiveBytes: 4 << 20,
  });
  for (;;) {
    const datagram = socket.receive(true, 'listening to changes of nf_tables');
    if (datagram !== undefined) hear(datagram, now());
    // Calls have their turn.
    await setImmediate();
  }
}

function hear(datagram: Buffer, at: number): void {
  const message = new MessageCursor(datagram);
  while (message.next()) {
    if (message.type === NFT_MSG.NEWGEN) transactions++;
    if (message.type !== NFT_MSG.NEWSETELEM) continue;
    element.read(datagram, message.start, message.end, ({ bytes, dataStart, dataEnd }) => {
      if (dataEnd - dataStart !== ENDPOINT_BYTES) return;
      changes.push({ address: unpackAddress(bytes, dataStart, 'IPv4'), at });
    });
  }
}

serveCalls<KernelCalls>({
  count: async () => {
    const plane = openNftablesPlane(io);
    const frontends = await plane.inspect();
    plane.close();
    const endpoints = frontends.reduce(
      (sum, { target }) => sum + (typeof target === 'string' ? 0 : target.length),
      0,
    );
    return { frontends: frontends.length, endpoints };
  },
  clear: async () => {
    const plane = openNftablesPlane(io);
    await plane.remove();
    plane.close();
    return null;
  },
  listen: () => {
    void listen();
    return null;
  },
  heard: () => ({ changes, transactions }),
});
