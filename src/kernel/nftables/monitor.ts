import { isKernelError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { NETLINK_NETFILTER } from '../netlink/constants.ts';
import { MessageCursor } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NFNL_SUBSYS_NFTABLES, NFT_MSG } from './constants.ts';
import { attributesOf } from './info.ts';

/** NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h) as a bit of `nl_groups`. */
const GROUP_NFTABLES = 1 << (7 - 1);
/** Room for the changes of a large transaction. */
const RECEIVE_BYTES = 4 << 20;
/** Every nf_tables message names its table in attribute 1 (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, …). */
const TABLE_NAME = 1;

const DOING = 'listening to changes of nf_tables';

/**
 * What was reported: changes of others to the table, none, or nobody can tell because there were more
 * reports than room (a large transaction, possibly of our own).
 */
export type Reports = 'touched' | 'untouched' | 'lost';

/** Listens to what others change in a table of ours. */
export class NftMonitor {
  readonly #socket: NetlinkSocket;
  readonly #table: Buffer;

  private constructor(socket: NetlinkSocket, table: string) {
    this.#socket = socket;
    this.#table = Buffer.from(`${table}\0`);
  }

  /** Starts to listen to changes of tables of this name, of any family. */
  static open(io: KernelIo, table: string): NftMonitor {
    const socket = NetlinkSocket.open(io, {
      protocol: NETLINK_NETFILTER,
      name: 'nf_tables events',
      groups: GROUP_NFTABLES,
      receiveBytes: RECEIVE_BYTES,
    });
    return new NftMonitor(socket, table);
  }

  /**
   * Reads everything that was reported since the last call; does not wait.
   * @param ownPort Netlink port of the socket whose changes are our own.
   */
  drain(ownPort: number): Reports {
    let reports: Reports = 'untouched';
    for (;;) {
      try {
        const datagram = this.#socket.receive(false, DOING);
        if (datagram === undefined) return reports;
        if (this.#concerns(datagram, ownPort)) reports = 'touched';
      } catch (error) {
        if (!isKernelError(error, 'SY_KERNEL_BUFFER')) throw error;
        if (reports === 'untouched') reports = 'lost';
      }
    }
  }

  /** Stops listening. */
  close(): void {
    this.#socket.close();
  }

  #concerns(datagram: Buffer, ownPort: number): boolean {
    const message = new MessageCursor(datagram);
    while (message.next()) {
      const ofNftables = message.type >>> 8 === NFNL_SUBSYS_NFTABLES;
      if (!ofNftables || message.type === NFT_MSG.NEWGEN || message.port === ownPort) continue;
      const attributes = attributesOf(message);
      while (attributes.next()) {
        if (attributes.type !== TABLE_NAME) continue;
        if (datagram.subarray(attributes.start, attributes.end).equals(this.#table)) return true;
        break;
      }
    }
    return false;
  }
}
