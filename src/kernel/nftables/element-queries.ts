/** The two ways to read elements: list a whole set, or ask for some by their keys. */
import type { Family } from '../../core/ip.ts';
import { ERRNO, interrupted, systemError } from '../errors.ts';
import { NLM_F } from '../netlink/constants.ts';
import type { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import {
  FAMILY_NAME,
  NFPROTO,
  NFTA_DATA,
  NFTA_LIST_ELEM,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFT_MSG,
} from './constants.ts';
import { ElementReader, type ElementView } from './elements.ts';

/** Elements asked for at once: the answers, a datagram each, must fit the receive buffer. */
export const MAX_FIND_KEYS = 500;
const LIST_ATTEMPTS = 10;

/** Which set. */
export interface SetName {
  readonly family: Family;
  readonly table: string;
  readonly set: string;
}

interface Place {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Visits every element of a set once. The kernel continues a listing by counting the elements it has told.
 * When the set's hash table is resized meanwhile, which the kernel does on its own a while after many
 * elements came or went, that repeats some elements and leaves out as many others. Hence a listing with
 * repetitions is made again.
 */
export function listElements(
  socket: NetlinkSocket,
  name: SetName,
  reader: ElementReader,
  visit: (element: ElementView) => void,
): void {
  for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
    const places = placesOf(socket, name);
    if (hasRepetitions(places, reader)) continue;
    for (const { bytes, start, end } of places) reader.read(bytes, start, end, visit);
    return;
  }
  throw interrupted(describeListing(name), LIST_ATTEMPTS);
}

/** One listing, as it is. Returns false when it repeats elements, and so leaves others out. */
export function listOnce(
  socket: NetlinkSocket,
  name: SetName,
  visit: (element: ElementView) => void,
): boolean {
  const reader = new ElementReader();
  const places = placesOf(socket, name);
  for (const { bytes, start, end } of places) reader.read(bytes, start, end, visit);
  return !hasRepetitions(places, reader);
}

function placesOf(socket: NetlinkSocket, name: SetName): readonly Place[] {
  const request = new NetlinkWriter();
  const places: Place[] = [];
  socket.dump(
    (sequence) =>
      request.message(() => {
        beginRequest(request, name, NLM_F.DUMP, sequence);
        request.end();
      }),
    describeListing(name),
    ({ bytes, start, end }) => places.push({ bytes, start, end }),
  );
  return places;
}

function describeListing(name: SetName): string {
  return `listing elements of set ${label(name)}`;
}

function hasRepetitions(places: readonly Place[], reader: ElementReader): boolean {
  const keys = new Set<string>();
  let elements = 0;
  for (const { bytes, start, end } of places) {
    reader.read(bytes, start, end, ({ keyStart, keyEnd }) => {
      keys.add(bytes.toString('latin1', keyStart, keyEnd));
      elements++;
    });
  }
  return keys.size !== elements;
}

/**
 * Visits the elements with these keys, passing over those that are not there.
 * @param hasSet Asked when the kernel's answer leaves open whether the key or the set is missing.
 * @throws KernelError NOT_FOUND: no such table or set.
 */
export function findElements(
  socket: NetlinkSocket,
  name: SetName,
  keys: readonly Uint8Array[],
  visit: (element: ElementView) => void,
  hasSet: () => boolean,
): void {
  const doing = `reading elements of set ${label(name)}`;
  const reader = new ElementReader();
  const request = new NetlinkWriter();
  let answered = 0;
  while (answered < keys.length) {
    const before = answered;
    const sequence = socket.sequences(1);
    request.reset();
    beginRequest(request, name, NLM_F.ACK, sequence);
    writeKeys(request, keys, answered);
    request.end();
    const refusal = socket.collect(request.written(), sequence, doing, ({ bytes, start, end }) => {
      answered += 1;
      reader.read(bytes, start, end, visit);
    });
    if (refusal === undefined) return;
    // The kernel stops at the first key that is missing. A missing set is refused as a whole.
    if (refusal.errno !== ERRNO.ENOENT || (before === 0 && answered === 0 && !hasSet())) {
      throw systemError(doing, refusal.errno, { extendedAck: refusal.message });
    }
    answered += 1;
  }
}

function label({ family, table, set }: SetName): string {
  return `${FAMILY_NAME[family]} ${table} ${set}`;
}

function beginRequest(
  request: NetlinkWriter,
  { family, table, set }: SetName,
  flags: number,
  sequence: number,
): void {
  request.begin(NFT_MSG.GETSETELEM, NLM_F.REQUEST | flags, sequence);
  request.nfgenmsg(NFPROTO[family], 0);
  request.string(NFTA_SET_ELEM_LIST.TABLE, table);
  request.string(NFTA_SET_ELEM_LIST.SET, set);
}

function writeKeys(request: NetlinkWriter, keys: readonly Uint8Array[], from: number): void {
  const list = request.beginNested(NFTA_SET_ELEM_LIST.ELEMENTS);
  for (const key of keys.slice(from)) {
    const element = request.beginNested(NFTA_LIST_ELEM);
    request.nestedBytes(NFTA_SET_ELEM.KEY, NFTA_DATA.VALUE, key);
    request.endNested(element);
  }
  request.endNested(list);
}
