/** A copy of what a take-over is going to remove, as the tools that made it would print it. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What is saved: the file, what prints it, and what puts it back. */
interface Part {
  readonly file: string;
  readonly command: readonly [string, ...string[]];
  readonly restore: string;
}

const run = promisify(execFile);

const MAX_BYTES = 1 << 29;
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;

const PARTS: readonly Part[] = [
  ...(['nft', 'legacy'] as const).flatMap((variant) =>
    (['iptables', 'ip6tables'] as const).map((tool): Part => {
      const file = `${tool}-${variant}.txt`;
      const program = `${tool}-${variant}`;
      return { file, command: [`${program}-save`], restore: `${program}-restore < ${file}` };
    }),
  ),
  ...(['ip', 'ip6'] as const).map((family): Part => {
    const file = `nft-${family}.txt`;
    const command = ['nft', 'list', 'table', family, 'kube-proxy'] as const;
    return { file, command, restore: `nft -f ${file}` };
  }),
  { file: 'ipset.txt', command: ['ipset', 'save'], restore: 'ipset restore -exist < ipset.txt' },
  { file: 'ipvs.txt', command: ['ipvsadm', '-Sn'], restore: 'ipvsadm -R < ipvs.txt' },
  {
    file: 'kube-ipvs0.txt',
    command: ['ip', 'addr', 'show', 'dev', 'kube-ipvs0'],
    restore: 'addresses of kube-ipvs0, to read: kube-proxy binds them again',
  },
];

/**
 * Saves it in a new folder that only root can read. What has no tool here, or nothing to print, is left out.
 *
 * @param parent - Made when it is missing.
 * @param at - Becomes part of the folder's name.
 * @returns The folder.
 */
export async function saveUndoBundle(parent: string, at: Date): Promise<string> {
  const folder = join(parent, `undo-${at.toISOString().replaceAll(/[:.]/g, '-')}`);
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const lines = [
    'What kube-proxy had left before switchyard took over and removed it.',
    '',
    'To go back, start kube-proxy again: it writes its own rules anew, beside those of switchyard. Once it has (its',
    '/healthz answers 200), stop switchyard, and remove its rules: switchyard cleanup.',
    '',
    'Without kube-proxy, these put back all rules of the moment, those of others included (sets first):',
  ];
  for (const { file, command, restore } of PARTS) {
    const [program, ...args] = command;
    const text = await run(program, args, { maxBuffer: MAX_BYTES }).then(
      ({ stdout }) => stdout,
      () => '',
    );
    if (text.trim() === '') continue;
    await writeFile(join(folder, file), text, { mode: PRIVATE_FILE });
    lines.push(`  ${restore}`);
  }
  await writeFile(join(folder, 'README'), `${lines.join('\n')}\n`, { mode: PRIVATE_FILE });
  return folder;
}
