/** The connection table of IPVS, as /proc/net/ip_vs_conn tells it (net/netfilter/ipvs/ip_vs_conn.c). */
import { open } from 'node:fs/promises';
import { type Address, unpackAddress } from '../../core/ip.ts';
import { ERRNO, malformed, systemError } from '../errors.ts';
import { NO_IPVS } from './constants.ts';

/** A connection, or a template that keeps a client with its real server. */
export interface IpvsConnection {
  /** `TCP`, `UDP`, `SCTP`; `IP` for templates of firewall marks. */
  readonly protocol: string;
  readonly client: Address;
  /** 0 in templates. */
  readonly clientPort: number;
  readonly virtual: Address;
  readonly virtualPort: number;
  readonly real: Address;
  readonly realPort: number;
  /** `ESTABLISHED`, `UDP`, …; of templates `NONE` or `ASSURED`. */
  readonly state: string;
  /** True for what persistence remembers of a client, which is no connection. */
  readonly isTemplate: boolean;
  /** Until it is forgotten, if no more packets come. */
  readonly expiresSeconds: number;
  /** Name and data of the persistence engine; `''` without. */
  readonly engine: string;
}

const CONNECTIONS_FILE = '/proc/net/ip_vs_conn';
const READ_BYTES = 64 * 1024;
const FIELDS = 9;
const HEX_PORT = /^[0-9A-F]{4}$/;
const TEMPLATE_STATES: ReadonlySet<string> = new Set(['NONE', 'ASSURED']);

const addressBytes = new Uint8Array(16);

/**
 * Reads connection after connection of the process's network namespace, in no certain order, never more
 * than a small part of them at once. Those made or ended meanwhile may be in it or not, and since the kernel finds the
 * next part by counting from the start (ip_vs_conn_array()), others may be missing or come twice when some go or come.
 * @param file Another file of this format.
 * @throws KernelError UNSUPPORTED: the kernel has no IPVS. MALFORMED: not the format known here.
 */
export async function* readConnections(
  file: string = CONNECTIONS_FILE,
): AsyncGenerator<IpvsConnection, void, undefined> {
  await using handle = await openTable(file);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let rest = '';
  let isHeader = true;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null);
    if (bytesRead === 0) break;
    const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!isHeader) yield parseConnection(line);
      isHeader = false;
    }
  }
  if (rest !== '') throw malformed(`${file} ends with a part of a line`);
}

/** Reads one line. @throws KernelError MALFORMED. */
export function parseConnection(line: string): IpvsConnection {
  const fields = line.trim().split(/ +/);
  const [protocol, client, clientPort, virtual, virtualPort, real, realPort, state, expires] =
    fields;
  if (
    protocol === undefined ||
    client === undefined ||
    virtual === undefined ||
    real === undefined ||
    state === undefined ||
    expires === undefined ||
    !/^\d+$/.test(expires)
  ) {
    throw malformed(`line of the IPVS connection table: ${line}`);
  }
  const port = parsePort(clientPort);
  return {
    protocol,
    client: parseHexAddress(client),
    clientPort: port,
    virtual: parseHexAddress(virtual),
    virtualPort: parsePort(virtualPort),
    real: parseHexAddress(real),
    realPort: parsePort(realPort),
    state,
    // Connections whose client port is not known yet (FTP) have other states.
    isTemplate: port === 0 && TEMPLATE_STATES.has(state),
    expiresSeconds: Number(expires),
    engine: fields.slice(FIELDS).join(' '),
  };
}

async function openTable(file: string): ReturnType<typeof open> {
  try {
    return await open(file);
  } catch (cause) {
    const errno = cause instanceof Error && 'errno' in cause ? Math.abs(Number(cause.errno)) : 0;
    const noIpvs = { code: 'SY_KERNEL_UNSUPPORTED', advice: NO_IPVS } as const;
    throw systemError(`opening ${file}`, errno, errno === ERRNO.ENOENT ? noIpvs : {});
  }
}

/** `0A600002`, or eight groups of four digits each. */
function parseHexAddress(text: string): Address {
  const digits = text.replaceAll(':', '');
  if (!/^(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32})$/.test(digits)) {
    throw malformed(`address in the IPVS connection table: ${text}`);
  }
  for (let index = 0; index < digits.length; index += 2) {
    addressBytes[index / 2] = Number.parseInt(digits.slice(index, index + 2), 16);
  }
  return unpackAddress(addressBytes, 0, digits.length === 8 ? 'IPv4' : 'IPv6');
}

function parsePort(text: string | undefined): number {
  if (text === undefined || !HEX_PORT.test(text)) {
    throw malformed(`port in the IPVS connection table: ${String(text)}`);
  }
  return Number.parseInt(text, 16);
}
