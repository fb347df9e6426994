/** The iptables-restore of one family: started when it is needed, started again when it ended, asked in turn. */
import { KernelError } from '../errors.ts';
import type { TableBatch } from './iptables.ts';
import { lockHolder } from './lock.ts';
import { RestoreError, type RestoreEnd, endedError, isRefusal, lineSaid } from './restore-error.ts';
import { type Outcome, RestoreProcess, type Section } from './restore-process.ts';

/** Times a process may end without a reason before that is given up. */
const ATTEMPTS = 3;
/** How long something may take before we look whether it waits for a lock, in milliseconds. */
const SLOW_MS = 5000;
const NOTHING: Section = { text: '', lines: 0 };

/** Gives batches to an iptables-restore. */
export class Coprocess {
  readonly #program: string;
  readonly #onWait: (text: string) => void;
  #process: RestoreProcess | undefined;
  /** Settles when nothing is under way. */
  #idle: Promise<void> = Promise.resolve();
  /** How often this was closed. */
  #epoch = 0;

  constructor(program: string, onWait: (text: string) => void) {
    this.#program = program;
    this.#onWait = onWait;
  }

  /** Resolves when a process runs and answers. @throws KernelError */
  async warm(): Promise<void> {
    await this.#inTurn(async () => this.#insist('starting', [NOTHING], refuseNothing));
  }

  /** Carries out batches. Resolves to what was printed. @throws RestoreError, KernelError */
  async carryOut(batches: readonly TableBatch[]): Promise<readonly string[]> {
    if (batches.length === 0) return [];
    const sections = batches.map(sectionOf);
    const tables = [...new Set(batches.map(({ table }) => table))].join(', ');
    return this.#inTurn(async () =>
      this.#insist(`writing to table ${tables}`, sections, (end, applied, line) => {
        const batch = batches[applied];
        if (batch === undefined) return undefined;
        const isInside = line !== undefined && line >= 0 && line < batch.lines.length + 2;
        const left = batches.length - applied - 1;
        const where = { batch, applied, left, line: isInside ? line - 1 : undefined };
        return new RestoreError(end, where);
      }),
    );
  }

  /** Ends the process. What is under way, and what waits for its turn, rejects. */
  close(): void {
    this.#epoch += 1;
    this.#process?.close();
    this.#process = undefined;
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const epoch = this.#epoch;
    const result = this.#idle.then(async () => {
      this.#checkOpen(epoch);
      return act();
    });
    this.#idle = result.then(ignore, ignore);
    return result;
  }

  /** Carries out what is left, by another process when one ended without a reason. */
  async #insist(
    doing: string,
    sections: readonly Section[],
    refuse: (end: RestoreEnd, applied: number, line: number | undefined) => KernelError | undefined,
  ): Promise<readonly string[]> {
    const epoch = this.#epoch;
    let applied = 0;
    for (let attempt = 1; ; attempt++) {
      if (this.#process?.hasEnded !== false) this.#process = new RestoreProcess(this.#program);
      const outcome = await this.#watched(this.#process, sections.slice(applied));
      const { confirmed, printed, end } = outcome;
      const line = lineInSection(sections, applied, outcome);
      applied += confirmed;
      if (end === undefined) return printed;
      this.#checkOpen(epoch);
      const refusal = isRefusal(end) ? refuse(end, applied, line) : undefined;
      if (refusal !== undefined) throw refusal;
      if (attempt === ATTEMPTS) throw endedError(doing, end, ATTEMPTS);
    }
  }

  /** Says so, once, when it waits for a lock. */
  async #watched(process: RestoreProcess, sections: readonly Section[]): Promise<Outcome> {
    const look = async (): Promise<void> => {
      const holder = process.pid === undefined ? undefined : await lockHolder(process.pid);
      if (holder === undefined) return;
      clearInterval(timer);
      this.#onWait(
        `${this.#program} waits for the lock of the tables, which ${holder} holds; it goes on when that lets go.`,
      );
    };
    const timer = setInterval(() => void look(), SLOW_MS);
    try {
      return await process.carryOut(sections);
    } finally {
      clearInterval(timer);
    }
  }

  #checkOpen(epoch: number): void {
    if (epoch === this.#epoch) return;
    throw new KernelError(`using ${this.#program}: it was closed meanwhile`, {
      code: 'SY_KERNEL_CLOSED',
    });
  }
}

function sectionOf({ table, lines }: TableBatch): Section {
  const inner = lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  return { text: `*${table}\n${inner}COMMIT\n`, lines: lines.length + 2 };
}

/** Line in the section that was not confirmed, from 0. */
function lineInSection(
  sections: readonly Section[],
  applied: number,
  { confirmed, firstLine, end }: Outcome,
): number | undefined {
  const said = end === undefined ? undefined : lineSaid(end.said);
  if (said === undefined) return undefined;
  const before = sections.slice(applied, applied + confirmed);
  return before.reduce((line, { lines }) => line - lines - 1, said - firstLine);
}

function refuseNothing(): undefined {
  return undefined;
}

function ignore(): void {
  return undefined;
}
