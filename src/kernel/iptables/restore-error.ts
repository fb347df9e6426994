/** What iptables-restore says when it refuses something, and where in our input that was. */
import { KernelError, type KernelErrorCode } from '../errors.ts';
import type { TableBatch } from './iptables.ts';

/** Lines shown on either side of the one that is refused. */
const NEIGHBOURS = 3;
const LONGEST_WORDS = 600;

/** What to do about {@link isDenied}. */
export const PRIVILEGES = 'Run as root or with the capabilities CAP_NET_ADMIN and CAP_NET_RAW.';

/** True when this is what the tools say to those who may not use them. */
export function isDenied(said: string): boolean {
  return /permission denied|operation not permitted|must be root/i.test(said);
}

/** How an iptables-restore ended, and what it had to say. */
export interface RestoreEnd {
  /** Name of the program. */
  readonly program: string;
  /** `status 1` or `SIGKILL`. */
  readonly how: string;
  /** Standard error. */
  readonly said: string;
}

/** The batch that was refused, among those of one call. */
interface RefusedBatch {
  readonly batch: TableBatch;
  /** Batches of the call before it: the kernel has them. */
  readonly applied: number;
  /** Batches of the call after it: the kernel has none of them. */
  readonly left: number;
  /** Line of the batch, from 0; -1 is `*TABLE`, the number of its lines `COMMIT`. `undefined`: not told. */
  readonly line: number | undefined;
}

/** A line was refused, and with it all of its batch. The message shows it with its neighbours. */
export class RestoreError extends KernelError {
  /** How many batches of the call are in force: those before the one that was refused. No other is. */
  readonly applied: number;

  constructor(end: RestoreEnd, { batch, applied, left, line }: RefusedBatch) {
    const { table, lines } = batch;
    const place = line === undefined ? '' : ` at line ${line + 2} of ${lines.length + 2}`;
    const after = left === 0 ? '' : ` and none of the ${left} after it`;
    super(
      `writing to table ${table} with ${end.program}: refused${place}: ${words(end)}. ${adviceFor(end.said)} ` +
        `Nothing of this batch${after} is in force.${excerpt(batch, line)}`,
      { code: codeFor(end.said) },
    );
    this.name = 'RestoreError';
    this.applied = applied;
  }
}

/** The line that is meant, counted from 1 since the process began. */
export function lineSaid(said: string): number | undefined {
  const [, number] = /\bline:? (\d+)/i.exec(said) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** True when the tool has said why it ended: it would end so again. */
export function isRefusal({ how, said }: RestoreEnd): boolean {
  return how.startsWith('status') && said.trim() !== '';
}

/** For a process that ended without refusing a line. */
export function endedError(doing: string, end: RestoreEnd, times: number): KernelError {
  return new KernelError(
    `${doing}: ${end.program} ended with ${end.how}, ${times} times in a row, and said: ${words(end)}. ` +
      'Find out who ends it (the kernel log tells of memory that ran out).',
    { code: codeFor(end.said) },
  );
}

function words({ said, how }: RestoreEnd): string {
  const text = said
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('Try `'))
    .join('; ');
  return (text === '' ? how : text).slice(0, LONGEST_WORDS).replace(/\.$/, '');
}

function codeFor(said: string): KernelErrorCode {
  return isDenied(said) ? 'SY_KERNEL_PERMISSION' : 'SY_KERNEL_CALL';
}

function adviceFor(said: string): string {
  if (isDenied(said)) return PRIVILEGES;
  if (/couldn't load|table does not exist|unable to initialize/i.test(said)) {
    return 'It names a chain that is missing, or an extension: install that, and load its kernel module (modprobe).';
  }
  return 'What it relies on may have been changed by others: read the table and write what differs.';
}

function excerpt({ table, lines }: TableBatch, line: number | undefined): string {
  if (line === undefined) return '';
  const all = [`*${table}`, ...lines, 'COMMIT'];
  const first = Math.max(0, line + 1 - NEIGHBOURS);
  const shown = all.slice(first, line + 2 + NEIGHBOURS);
  return `\n${shown.map((text, index) => `${first + index === line + 1 ? '>' : ' '} ${text}`).join('\n')}`;
}
