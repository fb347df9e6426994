/** Asking the agent of this machine for a switch of its mode. */
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { askStatus } from '../../agent/status/ask.ts';
import type { PlaneName } from '../../agent/mode.ts';
import type { StatusDocument } from '../../agent/status/documents.ts';
import type { SwitchState } from '../../agent/switching/pages.ts';
import type { SwitchProgress } from '../../agent/switching/progress.ts';
import { ToolError } from '../errors.ts';
import { explainSilence, readPage } from '../status/client.ts';

/** How to switch. */
export interface SwitchRequest {
  readonly to: PlaneName;
  /** Longest time that connections of the old plane may last, in seconds; `undefined`: as long as they do. */
  readonly drainLimit: number | undefined;
}

/** Longest silence of an agent, in milliseconds: it says something each 10 s. */
const PATIENCE_MS = 30_000;

/** How it stands. Rejects with a ToolError as `readPage` does. */
export async function readSwitchState(socket: string): Promise<SwitchState> {
  return readPage<SwitchState>(socket, '/v1/switch');
}

/**
 * Rejects with a ToolError `SY_SWITCH_REFUSED` while the agent does not serve, or cannot program what has changed: then
 * kube-proxy's rules are still needed.
 */
export async function refuseUnlessServing(socket: string): Promise<void> {
  const { servingSince, lastError } = await readPage<StatusDocument>(socket, '/v1/status');
  if (servingSince === undefined) {
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      'The agent serves no Services yet, and nothing was changed: wait until it does (switchyard status).',
    );
  }
  if (lastError?.lasts === true) {
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      `The agent cannot program the kernel since ${lastError.at}, and nothing was changed: ${lastError.error} ` +
        'Repair that first (switchyard status).',
    );
  }
}

/** Checks, and changes nothing. Rejects with a ToolError `SY_SWITCH_REFUSED` that says what is in the way. */
export async function checkSwitch(socket: string, request: SwitchRequest): Promise<void> {
  const response = await post(socket, `${queryOf(request)}&dry-run=1`);
  response.resume();
}

/**
 * Begins a switch and gives its news to the end. Rejects as {@link checkSwitch} does, and with `SY_AGENT_ANSWER` when the
 * agent ends meanwhile: what it has begun, the next one goes on with.
 */
export async function* requestSwitch(
  socket: string,
  request: SwitchRequest,
): AsyncGenerator<SwitchProgress> {
  yield* newsIn(socket, queryOf(request));
}

/** The news of a switch that goes on already. */
export async function* followSwitch(socket: string): AsyncGenerator<SwitchProgress> {
  yield* newsIn(socket, 'follow=1');
}

async function* newsIn(socket: string, query: string): AsyncGenerator<SwitchProgress> {
  const response = await post(socket, query);
  try {
    for await (const line of createInterface({ input: response })) {
      // The path names the version of what is answered, and only root's agent can answer here.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
      if (line !== '') yield JSON.parse(line) as SwitchProgress;
    }
  } catch (error) {
    throw explainSilence(error, socket, '/v1/switch');
  }
}

async function post(socket: string, query: string): Promise<Awaited<ReturnType<typeof askStatus>>> {
  const path = `/v1/switch?${query}`;
  try {
    const response = await askStatus({ socket, path, method: 'POST', timeoutMs: PATIENCE_MS });
    if (response.statusCode === 200) return response;
    const refusal: unknown = JSON.parse(await text(response));
    const isRefusal = typeof refusal === 'object' && refusal !== null && 'error' in refusal;
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      isRefusal ? String(refusal.error) : `The agent answers ${response.statusCode}.`,
    );
  } catch (error) {
    throw error instanceof ToolError ? error : explainSilence(error, socket, path);
  }
}

function queryOf({ to, drainLimit }: SwitchRequest): string {
  return `to=${to}${drainLimit === undefined ? '' : `&drain-limit=${drainLimit}`}`;
}
