import { familyOf, hostPort } from '../../core/ip.ts';
import { ERRNO, type KernelError, systemError } from '../errors.ts';
import { CommandList } from '../netlink/command-list.ts';
import type { Refusal } from '../netlink/socket.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { IPVS_CMD, IPVS_GENL_VERSION } from './constants.ts';
import {
  type RealAddress,
  type RealServer,
  type Scheduling,
  type VirtualName,
  describeVirtual,
  isSameService,
} from './servers.ts';
import { overwriteReal, writeReal, writeVirtual } from './write.ts';

/** One command of a batch: what it does, to which virtual server, and to which of its real servers. */
export interface IpvsCommand {
  readonly verb: 'adding' | 'changing' | 'deleting' | 'zeroing';
  readonly virtual: VirtualName;
  /** `undefined`: the virtual server itself. */
  readonly real: RealAddress | RealServer | undefined;
  /** What the virtual server is to be, when it is added or changed. */
  readonly scheduling: Scheduling | undefined;
}

/** A command that the kernel refused; the others of its batch took effect. */
export interface IpvsRefusal {
  readonly command: IpvsCommand;
  readonly error: KernelError;
}

/**
 * Changes of virtual and real servers, encoded as they are added (linux/ip_vs.h). {@link IpvsSocket.commit}
 * carries them out one by one, in order; {@link reset} makes it empty again. Names and numbers are
 * checked here (ARGUMENT errors, which leave the batch as it was).
 */
export class IpvsBatch {
  /** For {@link IpvsSocket}. */
  readonly commands = new CommandList<IpvsCommand>();
  #pattern: Pattern | undefined;
  readonly #write = (writer: NetlinkWriter, command: IpvsCommand): void => {
    this.#pattern = writeCommand(writer, command, this.#pattern);
  };

  /** Number of commands. */
  get length(): number {
    return this.commands.length;
  }

  /** Makes it an empty batch. */
  reset(): void {
    this.commands.reset();
    this.#pattern = undefined;
  }

  /** Adds a virtual server; refused (EXISTS) when it is there. */
  addVirtual(virtual: VirtualName, scheduling: Scheduling): void {
    this.#add({ verb: 'adding', virtual, real: undefined, scheduling });
  }

  /** Changes how a virtual server schedules. Its real servers and connections stay. */
  setVirtual(virtual: VirtualName, scheduling: Scheduling): void {
    this.#add({ verb: 'changing', virtual, real: undefined, scheduling });
  }

  /** Deletes a virtual server with its real servers. */
  deleteVirtual(virtual: VirtualName): void {
    this.#add({ verb: 'deleting', virtual, real: undefined, scheduling: undefined });
  }

  /** Sets the counters of a virtual server and of its real servers to 0. */
  zero(virtual: VirtualName): void {
    this.#add({ verb: 'zeroing', virtual, real: undefined, scheduling: undefined });
  }

  /** Adds a real server; refused (EXISTS) when it is there. */
  addReal(virtual: VirtualName, real: RealServer): void {
    this.#add({ verb: 'adding', virtual, real, scheduling: undefined });
  }

  /** Changes weight, forwarding and thresholds. Connections stay. */
  setReal(virtual: VirtualName, real: RealServer): void {
    this.#add({ verb: 'changing', virtual, real, scheduling: undefined });
  }

  /**
   * Deletes a real server. Its connections end with their next packet or their timeout. The kernel keeps it
   * in a list for two minutes, through which it looks whenever one is added (ip_vs_trash_get_dest()): after
   * thousands of deletions, additions are slow for that long.
   */
  deleteReal(virtual: VirtualName, { address, port }: RealAddress): void {
    this.#add({ verb: 'deleting', virtual, real: { address, port }, scheduling: undefined });
  }

  #add(command: IpvsCommand): void {
    // The socket knows the message type of the family.
    this.commands.add(command, 0, 0, this.#write);
  }
}

/** Numbers of the commands, for virtual servers and for their real servers. */
const NUMBERS = {
  adding: { virtual: IPVS_CMD.NEW_SERVICE, real: IPVS_CMD.NEW_DEST },
  changing: { virtual: IPVS_CMD.SET_SERVICE, real: IPVS_CMD.SET_DEST },
  deleting: { virtual: IPVS_CMD.DEL_SERVICE, real: IPVS_CMD.DEL_DEST },
  zeroing: { virtual: IPVS_CMD.ZERO, real: IPVS_CMD.ZERO },
} as const satisfies {
  readonly [V in IpvsCommand['verb']]: { readonly virtual: number; readonly real: number };
};

/** The message of a command about a real server: there are many in a row that differ in address and port only. */
interface Pattern {
  readonly command: IpvsCommand;
  readonly real: RealAddress | RealServer;
  /** Where it starts behind its header, where the real server starts, and where it ends. */
  readonly start: number;
  readonly realAt: number;
  readonly end: number;
}

/** Returns what the next command may have a pattern in. */
function writeCommand(
  writer: NetlinkWriter,
  command: IpvsCommand,
  pattern: Pattern | undefined,
): Pattern | undefined {
  const { verb, virtual, real, scheduling } = command;
  const start = writer.length;
  if (real !== undefined && pattern !== undefined && isAlike(command, real, pattern)) {
    writer.repeat(pattern.start, pattern.end);
    overwriteReal(writer, start + pattern.realAt - pattern.start, real);
    return pattern;
  }
  const numbers = NUMBERS[verb];
  writer.genlmsghdr(real === undefined ? numbers.virtual : numbers.real, IPVS_GENL_VERSION);
  writeVirtual(writer, virtual, scheduling);
  if (real === undefined) return pattern;
  const realAt = writer.length;
  writeReal(writer, real);
  return { command, real, start, realAt, end: writer.length };
}

function isAlike(
  { verb, virtual }: IpvsCommand,
  real: RealAddress | RealServer,
  other: Pattern,
): boolean {
  if (virtual !== other.command.virtual || verb !== other.command.verb) return false;
  if (familyOf(real.address) !== familyOf(other.real.address)) return false;
  // Those to be deleted have no more than an address.
  if (!('weight' in real && 'weight' in other.real)) return verb === 'deleting';
  return isSameService(real, other.real);
}

const NOT_UNICAST = 'the kernel takes its address for no unicast address (EINVAL)';
/** There is no table `local` to look into before (__inet_dev_addr_type()). */
const BRING_UP_LO =
  'In a network namespace whose loopback interface was never up, it does so with every address: ip link set lo up.';

/** Makes the error for a refused command. */
export function refusalError(command: IpvsCommand, refusal: Refusal): KernelError {
  const { verb, real, scheduling } = command;
  const virtual = describeVirtual(command.virtual);
  const doing =
    real === undefined
      ? `${verb} virtual server ${virtual}`
      : `${verb} real server ${hostPort(real.address, real.port)} of virtual server ${virtual}`;
  const context = { extendedAck: refusal.message };
  if (refusal.errno === ERRNO.ESRCH) {
    return systemError(doing, refusal.errno, { ...context, why: 'no such virtual server (ESRCH)' });
  }
  // ip_vs_add_service() and ip_vs_edit_service() say ENOENT for nothing else.
  if (refusal.errno === ERRNO.ENOENT && scheduling !== undefined) {
    const { scheduler, persistenceEngine: engine } = scheduling;
    const or = engine === undefined ? '' : `, or no persistence engine ${engine}`;
    const module = engine === undefined ? '' : ` and ip_vs_pe_${engine}`;
    return systemError(doing, refusal.errno, {
      ...context,
      code: 'SY_KERNEL_NO_SCHEDULER',
      why: `this kernel has no scheduler ${scheduler}${or} (ENOENT)`,
      advice: `Load the module ip_vs_${scheduler}${module}, or choose another scheduler.`,
    });
  }
  if (refusal.errno === ERRNO.EINVAL && real !== undefined) {
    return systemError(doing, refusal.errno, { ...context, why: NOT_UNICAST, advice: BRING_UP_LO });
  }
  return systemError(doing, refusal.errno, context);
}
