/**
 * What is remembered of a switch. It outlives the agent: the next one goes on with it, and runs in the mode that was
 * reached for as long as the configuration asks for the same as when the switch was made.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MODES, type ProxyMode } from '../config/option.ts';
import { AgentError } from '../errors.ts';
import { PLANE_NAMES, type PlaneName } from '../mode.ts';

/**
 * How far a switch has come. `building`: the new plane is made beside the old one, which is in charge. `retiring`: the
 * new one is in charge, and what the old one left is removed or drains. `done`: nothing is left of it.
 */
type SwitchPhase = 'building' | 'retiring' | 'done';

/** A switch. */
export interface SwitchRecord {
  /** Mode that the configuration asked for when the switch was made. */
  readonly configured: ProxyMode;
  readonly from: PlaneName;
  readonly to: PlaneName;
  readonly phase: SwitchPhase;
  /** When the phase began; RFC 3339 in UTC. */
  readonly since: string;
  /** Longest time that connections of the old plane may last, in milliseconds; `null`: as long as they do. */
  readonly drainLimitMs: number | null;
}

/** Keeps the record of the last switch. */
export interface SwitchJournal {
  /** `undefined` when there is none. Throws an {@link AgentError} `SY_SWITCH_JOURNAL` when it cannot be read. */
  read(): SwitchRecord | undefined;
  /** Puts a record in the place of the one before: whole, or not at all. Throws as `read` does. */
  write(record: SwitchRecord): void;
  /** Forgets it. */
  clear(): void;
}

const NAME = 'switch.json';
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;
const PHASES: readonly SwitchPhase[] = ['building', 'retiring', 'done'];

/** The journal in a folder, which is made when something is written. */
export function openJournal(folder: string): SwitchJournal {
  const path = join(folder, NAME);
  return {
    read: () => {
      const text = readText(path);
      if (text === undefined) return undefined;
      const record = parse(text);
      if (record !== undefined) return record;
      throw unusable(path, 'it is not what this version writes');
    },
    write: (record) => {
      try {
        mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
        replaceFile(path, `${JSON.stringify(record)}\n`);
      } catch (error) {
        throw unusable(path, String(error));
      }
    },
    clear: () => {
      rmSync(path, { force: true });
    },
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unusable(path, String(error));
  }
}

/** Others find the old text or the new one, also when the machine loses power. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', PRIVATE_FILE);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

function parse(text: string): SwitchRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  const from = PLANE_NAMES.find((name) => name === fields.get('from'));
  const to = PLANE_NAMES.find((name) => name === fields.get('to'));
  const configured = ([...MODES, 'auto'] as const).find(
    (mode) => mode === fields.get('configured'),
  );
  const phase = PHASES.find((each) => each === fields.get('phase'));
  const since = fields.get('since');
  const limit = fields.get('drainLimitMs');
  const isWhole = from !== undefined && to !== undefined && configured !== undefined;
  if (!isWhole || phase === undefined || typeof since !== 'string') return undefined;
  if (Number.isNaN(Date.parse(since))) return undefined;
  if (limit !== null && typeof limit !== 'number') return undefined;
  return { configured, from, to, phase, since, drainLimitMs: limit };
}

function unusable(path: string, why: string): AgentError {
  return new AgentError(
    'SY_SWITCH_JOURNAL',
    `The journal of mode switches ${path} cannot be used: ${why}. Repair or remove it; without it the configured mode counts.`,
  );
}
