/** Tables of nf_tables as text, by the program nft: it knows every expression that others may use. */
import { execFile } from 'node:child_process';
import type { Family } from '../../core/ip.ts';
import { ToolError } from '../errors.ts';

const LONGEST_OUTPUT = 512 * 1024 * 1024;
const FAMILY_NAMES: Readonly<Record<Family, string>> = { IPv4: 'ip', IPv6: 'ip6' };

/** A table with all that is in it; `undefined` where there is no nft. Rejects with a ToolError `SY_UNDO_BUNDLE`. */
export async function listTable(family: Family, name: string): Promise<string | undefined> {
  return nft(['list', 'table', FAMILY_NAMES[family], name]);
}

/** Loads tables, all or none. Rejects with a ToolError `SY_UNDO_BUNDLE`. */
export async function loadTables(text: string): Promise<void> {
  if ((await nft(['-f', '-'], text)) !== undefined) return;
  throw new ToolError(
    'SY_UNDO_BUNDLE',
    'The tables of nf_tables cannot be loaded: nft is not installed. Install it (nftables) and call this again.',
  );
}

function nft(args: readonly string[], input = ''): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = execFile('nft', args, { maxBuffer: LONGEST_OUTPUT }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === 'ENOENT') resolve(undefined);
      else {
        const said = stderr.trim() === '' ? error.message : stderr.trim();
        const what = `nft ${args.join(' ')} failed: ${said}`;
        reject(new ToolError('SY_UNDO_BUNDLE', `${what} Nothing was changed by it.`));
      }
    });
    // It may end before it has read everything; its exit status tells why.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
