/** Reads listening sockets from what `ss -Hltnup` prints. */

/** A socket that waits for connections or datagrams. */
export interface Listener {
  readonly protocol: 'TCP' | 'UDP';
  /** As ss writes it: `127.0.0.1`, `*`, `[::]`. */
  readonly address: string;
  readonly port: number;
  /** `undefined` where ss does not tell. */
  readonly process: { readonly name: string; readonly pid: number } | undefined;
}

const LINE =
  /^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:.*?users:\(\("([^"]*)",pid=(\d+))?/;

/** Reads the lines of ss(8). */
export function parseListeners(text: string): readonly Listener[] {
  return text.split('\n').flatMap((line) => {
    const match = LINE.exec(line);
    if (match === null) return [];
    const [, protocol, address = '', port, name, pid] = match;
    return [
      {
        protocol: protocol === 'tcp' ? 'TCP' : 'UDP',
        address,
        port: Number(port),
        process: name === undefined ? undefined : { name, pid: Number(pid) },
      },
    ];
  });
}
