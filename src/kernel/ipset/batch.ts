import { type Cidr, familyOf, formatCidr } from '../../core/ip.ts';
import type { KernelError } from '../errors.ts';
import { CommandList } from '../netlink/command-list.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { IPSET_CMD } from './constants.ts';
import type { ElementInfo, ElementKeys, SetElement, SetName, SetType } from './sets.ts';
import { writeElement, writeSetName } from './write.ts';

/** One command of a batch. */
export interface IpsetCommand {
  readonly verb: 'adding' | 'deleting';
  readonly set: SetName;
  readonly element: SetElement<SetType>;
}

/** A command that the kernel refused; the others of its batch took effect. */
export interface IpsetRefusal {
  readonly command: IpsetCommand;
  readonly error: KernelError;
}

/**
 * Changes of the elements of sets, encoded as they are added. {@link IpsetSocket.commit} carries them out
 * one by one, in order; {@link reset} makes it empty again. Names and numbers are checked here (ARGUMENT
 * errors, which leave the batch as it was).
 */
export class IpsetBatch {
  /** For {@link IpsetSocket}. */
  readonly commands = new CommandList<IpsetCommand>();

  /** Number of commands. */
  get length(): number {
    return this.commands.length;
  }

  /** Makes it an empty batch. */
  reset(): void {
    this.commands.reset();
  }

  /** Adds an element; one that is there gets the new timeout and comment. */
  add<T extends SetType>(set: SetName<T>, element: SetElement<T>): void {
    this.#command(IPSET_CMD.ADD, { verb: 'adding', set, element });
  }

  /** Deletes an element, if it is there. */
  delete<T extends SetType>(set: SetName<T>, element: ElementKeys[T]): void {
    this.#command(IPSET_CMD.DEL, { verb: 'deleting', set, element });
  }

  #command(type: number, command: IpsetCommand): void {
    this.commands.add(command, type, 0, writeCommand);
  }
}

function writeCommand(writer: NetlinkWriter, { set, element }: IpsetCommand): void {
  writer.nfgenmsg(NFPROTO_IPV4, 0);
  writeSetName(writer, set.name);
  writeElement(writer, element);
}

/** What ipset(8) puts there in all its messages; the kernel passes over it. */
export const NFPROTO_IPV4 = 2;

/** An element as `ipset` spells it: `10.96.0.1,tcp:80`. */
export function formatElement(element: ElementInfo & { readonly ipTo?: string }): string {
  const { ip, ipTo, net, protocol, port, ip2, net2 } = element;
  const parts: string[] = [];
  if (ip !== undefined) parts.push(ipTo === undefined ? ip : `${ip}-${ipTo}`);
  if (net !== undefined) parts.push(formatNet(net));
  if (port !== undefined) {
    parts.push(protocol === undefined ? String(port) : `${protocol.toLowerCase()}:${port}`);
  }
  if (ip2 !== undefined) parts.push(ip2);
  if (net2 !== undefined) parts.push(formatNet(net2));
  return parts.join(',');
}

/** ipset leaves out the prefix of a single address. */
function formatNet(net: Cidr): string {
  const bits = familyOf(net.address) === 'IPv4' ? 32 : 128;
  return net.prefix === bits ? net.address : formatCidr(net);
}
