/** Reads the status socket of an agent on this machine. */
import { text } from 'node:stream/consumers';
import { askStatus } from '../../agent/status/ask.ts';
import type {
  EndpointDocument,
  ServiceDocument,
  StatusDocument,
} from '../../agent/status/documents.ts';
import type { Route } from '../../core/route.ts';
import type { ProgrammedFrontend } from '../../planes/plane.ts';
import { ToolError } from '../errors.ts';

/** The items of each list. */
export interface StatusItems {
  readonly services: ServiceDocument;
  readonly endpoints: EndpointDocument;
  readonly routes: Route;
  readonly programmed: ProgrammedFrontend;
}

/** A list as the agent gave it. */
export interface StatusList<T> {
  /** The agent's mode. */
  readonly mode: string;
  readonly items: readonly T[];
}

/** Longest silence of an agent, in milliseconds. Reading a large table of the kernel takes a second or two. */
const PATIENCE_MS = 30_000;

/** How it stands with the agent. `undefined` when no agent runs here. Rejects as {@link readList} does otherwise. */
export async function readStatus(socket: string): Promise<StatusDocument | undefined> {
  try {
    return await readPage<StatusDocument>(socket, '/v1/status');
  } catch (error) {
    if (error instanceof ToolError && error.code === 'SY_NO_AGENT') return undefined;
    throw error;
  }
}

/**
 * All items of a list.
 *
 * Rejects with a ToolError: `SY_NO_AGENT` when none listens on the socket, `SY_AGENT_ANSWER` when there is no answer that
 * can be used.
 */
export async function readList<K extends keyof StatusItems>(
  socket: string,
  list: K,
): Promise<StatusList<StatusItems[K]>> {
  return readPage<StatusList<StatusItems[K]>>(socket, `/v1/${list}`);
}

/** What a page says, as T. Rejects as {@link readList} does. */
export async function readPage<T>(socket: string, path: string): Promise<T> {
  try {
    const response = await askStatus({ socket, path, method: 'GET', timeoutMs: PATIENCE_MS });
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${body.trim()}`);
    // The path names the version of what is answered, and only root's agent can answer here.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
    return JSON.parse(body) as T;
  } catch (error) {
    throw explainSilence(error, socket, path);
  }
}

/** Why there is no answer, for people. */
export function explainSilence(error: unknown, socket: string, path: string): ToolError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return new ToolError(
      'SY_NO_AGENT',
      `No agent listens on ${socket}: start it (switchyard proxy), or name its socket with --status-socket.`,
    );
  }
  const hint =
    code === 'EACCES' ? 'be root' : 'see its log, and that it has the version of this command';
  const reason = error instanceof Error ? error.message : String(error);
  return new ToolError(
    'SY_AGENT_ANSWER',
    `The agent at ${socket} does not answer ${path} (${reason}): ${hint}.`,
  );
}
