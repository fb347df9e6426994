/** Local routes: destinations that this host takes for its own (linux/rtnetlink.h). */
import { type Cidr, type Family, addressLength, unpackAddress } from '../../core/ip.ts';
import { malformed } from '../errors.ts';
import { NLM_F } from '../netlink/constants.ts';
import { ADDRESS_FAMILY, familyOfNumber, packedAddress } from '../netlink/inet.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  RTA,
  RTM,
  RTMSG_LENGTH,
  RTN_LOCAL,
  RTPROT_STATIC,
  RT_SCOPE_HOST,
  RT_TABLE_LOCAL,
} from './constants.ts';

/** A route of the table `local`, of type local. */
export interface LocalRoute {
  readonly destination: Cidr;
  /** Index of its link. */
  readonly link: number;
  /** RTPROT_*: 2 for those that the kernel made for an address, 4 for those made here. */
  readonly protocol: number;
}

/** Payload of a local route to make or to delete: `ip route … local DESTINATION dev LINK proto static`. */
export function writeLocalRoute(writer: NetlinkWriter, link: number, destination: Cidr): void {
  const { family, address, prefix } = destination;
  // IPv6 routes have no scope.
  const scope = family === 'IPv4' ? RT_SCOPE_HOST : 0;
  writer.raw(header(family, prefix, RTPROT_STATIC, scope));
  writer.bytes(RTA.DST, packedAddress(address));
  writer.u32(RTA.OIF, link);
}

/** Asks for the local routes of a link; a socket that does not filter gets those of every link and table. */
export function writeLocalRouteList(
  writer: NetlinkWriter,
  sequence: number,
  family: Family,
  link: number,
): void {
  writer.begin(RTM.GETROUTE, NLM_F.REQUEST | NLM_F.DUMP, sequence);
  writer.raw(header(family, 0, 0, 0));
  writer.u32(RTA.OIF, link);
  writer.end();
}

/** Reads RTM_NEWROUTE; `undefined` unless it is a local route of IPv4 or IPv6 by way of one link. */
export function readLocalRoute(message: MessageCursor): LocalRoute | undefined {
  const { bytes, start, end } = message;
  if (end - start < RTMSG_LENGTH) throw malformed('route message without its header');
  const family = familyOfNumber(bytes.readUInt8(start));
  if (family === undefined || bytes.readUInt8(start + 7) !== RTN_LOCAL) return undefined;
  let table = bytes.readUInt8(start + 4);
  let link: number | undefined;
  let destination: Buffer = Buffer.alloc(addressLength(family));
  const attributes = new AttributeCursor(bytes, start + RTMSG_LENGTH, end);
  while (attributes.next()) {
    if (attributes.type === RTA.TABLE) table = attributes.u32();
    else if (attributes.type === RTA.OIF) link = attributes.u32();
    else if (attributes.type === RTA.DST) destination = attributes.view();
  }
  if (table !== RT_TABLE_LOCAL || link === undefined) return undefined;
  if (destination.length < addressLength(family)) throw malformed('route destination cut short');
  return {
    destination: {
      family,
      address: unpackAddress(destination, 0, family),
      prefix: bytes.readUInt8(start + 1),
    },
    link,
    protocol: bytes.readUInt8(start + 5),
  };
}

/** struct rtmsg. */
function header(family: Family, prefix: number, protocol: number, scope: number): Uint8Array {
  const table = RT_TABLE_LOCAL;
  const type = RTN_LOCAL;
  return Uint8Array.of(
    ADDRESS_FAMILY[family],
    prefix,
    0,
    0,
    table,
    protocol,
    scope,
    type,
    0,
    0,
    0,
    0,
  );
}
