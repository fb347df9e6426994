/** Keeps account of what each file says and of what has been told about it. */
import { join } from 'node:path';
import type { ObjectChange } from '../core/change.ts';
import { Catalog, type Conflict, type ObjectId } from './catalog.ts';
import { EMPTY_FILE, type ParsedFile, parseFile, unusableFile } from './file.ts';
import type { FileRead } from './folder.ts';

/** Something wrong in a manifest, told once for the same text. */
export interface ManifestProblem {
  /** Path of the file. */
  readonly file: string;
  /** From 1; `undefined` when it is about the file as a whole. */
  readonly line: number | undefined;
  /** Path such as `spec.ports[0].nodePort`; `''` when it is about more than one field. */
  readonly field: string;
  readonly message: string;
  readonly object: ObjectId | undefined;
  /** What was read before the problem came up is still in force. */
  readonly lastGoodStays: boolean;
}

/** What changed since the last look. */
export interface LedgerNews {
  readonly changes: readonly ObjectChange[];
  /** Problems that were not there before. */
  readonly problems: readonly ManifestProblem[];
  /** Kinds (`apiVersion kind`) that are not read, each once for a file. */
  readonly ignored: readonly { readonly file: string; readonly type: string }[];
}

interface Account {
  readonly parsed: ParsedFile;
  /** Keys of the problems that were told. */
  readonly reported: ReadonlySet<string>;
  readonly ignored: ReadonlySet<string>;
}

const NO_ACCOUNT: Account = { parsed: EMPTY_FILE, reported: new Set(), ignored: new Set() };
const NEWLINE = 0x0a;

/** The state of all files. */
export class Ledger {
  readonly #folder: string;
  readonly #breathe: () => Promise<void>;
  readonly #catalog = new Catalog();
  readonly #accounts = new Map<string, Account>();
  #problems: ManifestProblem[] = [];
  #ignored: { file: string; type: string }[] = [];

  /** `breathe` lets others run; awaited now and then while a large file is parsed. */
  constructor(folder: string, breathe: () => Promise<void>) {
    this.#folder = folder;
    this.#breathe = breathe;
  }

  /**
   * Takes what was read of a file. Unless `final`, it may be a file in the middle of a write: what it
   * adds or changes counts, what it lacks or has wrong does not yet. Returns false when the file must be
   * read again with `final` for that reason.
   */
  async take(name: string, read: FileRead, final: boolean): Promise<boolean> {
    if (!final && read.kind === 'bytes' && read.bytes.at(-1) !== NEWLINE) return false;
    const account = this.#accounts.get(name) ?? NO_ACCOUNT;
    const parsed = await this.#parse(read, account.parsed);
    const awaited = this.#catalog.replace(name, parsed, !final);
    if (!final && (awaited > 0 || parsed.problems.length > 0)) {
      this.#accounts.set(name, { ...account, parsed });
      return false;
    }
    const ignored = this.#tellIgnored(name, parsed, account);
    const reported = this.#tellProblems(name, parsed, account);
    if (read.kind === 'absent') this.#accounts.delete(name);
    else this.#accounts.set(name, { parsed, reported, ignored });
    return true;
  }

  /** Everything that is new since the last call. */
  news(): LedgerNews {
    const { changes, conflicts } = this.#catalog.flush();
    const problems = [...this.#problems, ...conflicts.map((conflict) => this.#describe(conflict))];
    const ignored = this.#ignored;
    this.#problems = [];
    this.#ignored = [];
    return { changes, problems, ignored };
  }

  async #parse(read: FileRead, previous: ParsedFile): Promise<ParsedFile> {
    if (read.kind === 'absent') return EMPTY_FILE;
    if (read.kind === 'refused') return unusableFile(read.reason);
    return parseFile(read.bytes, previous, this.#breathe);
  }

  #tellProblems(name: string, parsed: ParsedFile, before: Account): ReadonlySet<string> {
    const reported = new Set<string>();
    for (const problem of parsed.problems) {
      const { key, line, field, message, object } = problem;
      if (!before.reported.has(key) && !reported.has(key)) {
        const lastGoodStays = this.#catalog.keepsLastGood(name, object);
        const file = join(this.#folder, name);
        this.#problems.push({ file, line, field, message, object, lastGoodStays });
      }
      reported.add(key);
    }
    return reported;
  }

  #tellIgnored(name: string, parsed: ParsedFile, before: Account): ReadonlySet<string> {
    const file = join(this.#folder, name);
    for (const type of parsed.ignored) {
      if (!before.ignored.has(type)) this.#ignored.push({ file, type });
    }
    return parsed.ignored;
  }

  #describe({ id, used, ignored }: Conflict): ManifestProblem {
    return {
      file: join(this.#folder, ignored),
      line: undefined,
      field: '',
      message: `${id} is also in ${used}, which comes first and is used`,
      object: id,
      lastGoodStays: false,
    };
  }
}
