/** Generic netlink: how to find a family (linux/genetlink.h). */
import { isKernelError, malformed, systemError } from '../errors.ts';
import { NLM_F } from './constants.ts';
import { AttributeCursor } from './reader.ts';
import type { NetlinkSocket } from './socket.ts';
import { NetlinkWriter } from './writer.ts';

/** GENL_ID_CTRL: message type of the family that knows the others. */
const CONTROLLER = 16;
const CONTROLLER_VERSION = 1;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
/** struct genlmsghdr: u8 command, u8 version, u16 reserved. */
export const GENLMSGHDR_LENGTH = 4;

/**
 * Asks for the message type of a family. Kernels since 5.12 load its module when they can.
 * @param advice What to do when the kernel lacks the family.
 * @throws KernelError UNSUPPORTED: the kernel does not have the family.
 */
export function resolveFamily(socket: NetlinkSocket, family: string, advice: string): number {
  const doing = `looking for the generic netlink family ${family}`;
  const sequence = socket.sequences(1);
  const request = new NetlinkWriter();
  writeFamilyRequest(request, sequence, family);
  let id: number | undefined;
  try {
    socket.query(request.written(), sequence, doing, (message) => {
      const start = message.start + GENLMSGHDR_LENGTH;
      const attributes = new AttributeCursor(message.bytes, start, message.end);
      while (attributes.next()) if (attributes.type === CTRL_ATTR.FAMILY_ID) id = attributes.u16();
    });
  } catch (error) {
    if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    throw systemError(doing, error.errno ?? 0, { code: 'SY_KERNEL_UNSUPPORTED', advice });
  }
  if (id === undefined) throw malformed(`family ${family} without a number`);
  return id;
}

/** Writes the request for a family's number. */
function writeFamilyRequest(writer: NetlinkWriter, sequence: number, family: string): void {
  writer.begin(CONTROLLER, NLM_F.REQUEST, sequence);
  writer.genlmsghdr(CTRL_CMD_GETFAMILY, CONTROLLER_VERSION);
  writer.string(CTRL_ATTR.FAMILY_NAME, family);
  writer.end();
}
