/** What a take-over removes, kept in a file of its own until it is put back. */
import { access, constants, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PLANE_NAMES, type PlaneName } from '../../agent/mode.ts';
import type { Address, Family } from '../../core/ip.ts';
import type { SetDefinition, SetElement, SetType } from '../../kernel/ipset/sets.ts';
import type { RealServer, Scheduling, VirtualAddress } from '../../kernel/ipvs/servers.ts';
import type { Leftover } from '../cleanup/leftovers.ts';
import { ToolError } from '../errors.ts';
import type { SavedRules } from './saved-rules.ts';

/** An ipset. */
export interface SavedSet {
  readonly definition: SetDefinition;
  readonly elements: readonly SetElement<SetType>[];
}

/** A virtual server. */
export interface SavedServer {
  readonly name: VirtualAddress;
  readonly scheduling: Scheduling;
  readonly realServers: readonly RealServer[];
}

/** A table of nf_tables. */
interface SavedNftTable {
  readonly family: Family;
  /** As `nft list table` prints it. */
  readonly text: string;
}

/** Everything of kube-proxy's that there was. */
export interface SavedObjects {
  readonly objects: readonly Leftover[];
  readonly rules: readonly SavedRules[];
  readonly sets: readonly SavedSet[];
  readonly servers: readonly SavedServer[];
  /** Whether the link of ipvs mode is taken away. */
  readonly link: boolean;
  /** Of that link. */
  readonly addresses: readonly Address[];
  readonly tables: readonly SavedNftTable[];
  /** What could not be saved, and why: a sentence each. */
  readonly unsaved: readonly string[];
}

/** The planes of our own at a take-over. */
export interface TakeOverPlanes {
  /** In charge when kube-proxy's objects went. */
  readonly plane: PlaneName;
  /** In charge before, when the same command changed that; `null`: it did not. */
  readonly planeBefore: PlaneName | null;
}

const PHASES = ['removing', 'removed', 'restoring', 'undone'] as const;

/** `removing`: some of it may be gone. `restoring`: some of it may be there again. `undone`: of no use any more. */
type UndoPhase = (typeof PHASES)[number];

/** A take-over that can be undone. */
export interface UndoBundle extends SavedObjects, TakeOverPlanes {
  readonly version: 1;
  readonly phase: UndoPhase;
  /** RFC 3339 in UTC. */
  readonly savedAt: string;
}

/** A bundle and its file. */
export interface StoredBundle {
  readonly path: string;
  readonly bundle: UndoBundle;
}

/** Tells objects apart. */
export function objectKey({
  kind,
  place,
  name,
}: Pick<Leftover, 'kind' | 'place' | 'name'>): string {
  return `${kind} ${name} in ${place}`;
}

const NAME = /^undo-.*\.json$/;
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;

/**
 * Rejects with a ToolError `SY_UNDO_BUNDLE` when no bundle can be kept in a folder, which may be missing, or one that is
 * there cannot be read. Changes nothing.
 */
export async function checkFolder(folder: string): Promise<void> {
  await bundlesIn(folder);
  await explained(folder, () => checkWritable(folder));
}

async function checkWritable(folder: string): Promise<void> {
  try {
    await access(join(folder, '/'), constants.W_OK);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await checkWritable(dirname(folder));
  }
}

/**
 * Keeps a bundle in a new file, which only root can read, and puts an end to all others: they are older than what is
 * removed now. Rejects with a ToolError `SY_UNDO_BUNDLE`.
 * @param folder - Made when it is missing.
 */
export async function keepBundle(folder: string, bundle: UndoBundle): Promise<StoredBundle> {
  const path = join(folder, `undo-${bundle.savedAt.replaceAll(/[:.]/g, '-')}.json`);
  await explained(path, () => mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER }));
  const stored = await replaceBundle({ path, bundle });
  for (const other of await bundlesIn(folder)) {
    if (other.path === path) continue;
    await replaceBundle({ ...other, bundle: { ...other.bundle, phase: 'undone' } });
  }
  return stored;
}

/** Puts a bundle in the place of the one in the file: whole, or not at all. Rejects as {@link keepBundle} does. */
export async function replaceBundle(stored: StoredBundle): Promise<StoredBundle> {
  const { path, bundle } = stored;
  await explained(path, async () => {
    const temporary = `${path}.tmp`;
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', PRIVATE_FILE);
    try {
      await file.writeFile(`${JSON.stringify(bundle)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  });
  return stored;
}

/** The newest bundle that is not undone; `undefined` when there is none. Rejects as {@link keepBundle} does. */
export async function newestBundle(folder: string): Promise<StoredBundle | undefined> {
  const [newest] = await bundlesIn(folder);
  return newest;
}

/** Those that are not undone, the newest first. */
async function bundlesIn(folder: string): Promise<readonly StoredBundle[]> {
  const names = await explained(folder, () => filesIn(folder));
  const found: StoredBundle[] = [];
  for (const name of names.filter((each) => NAME.test(each)).toSorted()) {
    const path = join(folder, name);
    const bundle = await explained(path, async () => parse(await readOwn(path)));
    if (bundle.phase !== 'undone') found.push({ path, bundle });
  }
  return found.toReversed();
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** The text of a file of our own user, who is root: what is in it goes to the kernel. */
async function readOwn(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { uid } = await file.stat();
    if (uid !== process.geteuid?.()) throw new Error(`it is owned by user ${uid}, not by root`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

const LISTS = ['objects', 'rules', 'sets', 'servers', 'addresses', 'tables', 'unsaved'];

function parse(text: string): UndoBundle {
  const value: unknown = JSON.parse(text);
  const fields = new Map<string, unknown>(Object.entries(value ?? {}));
  const plane = fields.get('plane');
  const planeBefore = fields.get('planeBefore');
  const isWhole =
    fields.get('version') === 1 &&
    PHASES.some((phase) => phase === fields.get('phase')) &&
    !Number.isNaN(Date.parse(String(fields.get('savedAt')))) &&
    PLANE_NAMES.some((name) => name === plane) &&
    (planeBefore === null || PLANE_NAMES.some((name) => name === planeBefore)) &&
    typeof fields.get('link') === 'boolean' &&
    LISTS.every((name) => Array.isArray(fields.get(name)));
  if (!isWhole) throw new Error('it is not what this version writes');
  // Only root can have written it, and it was written whole.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return value as UndoBundle;
}

async function explained<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToolError(
      'SY_UNDO_BUNDLE',
      `What kube-proxy left cannot be kept in, or read from, ${path}: ${reason}. Repair it, or move it away: ` +
        'kube-proxy writes its rules anew when it starts, also without it.',
    );
  }
}
