/** Asking the agent for a switch, through its status socket. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { AgentError } from '../errors.ts';
import { PLANE_NAMES, type PlaneName } from '../mode.ts';
import { type Answer, answer, json } from '../http/answer.ts';
import type { StatusPages, StreamedAnswer } from '../status/status-server.ts';
import type { SwitchRecord } from './journal.ts';
import type { SwitchProgress } from './progress.ts';
import type { Switcher, SwitchWish } from './switcher.ts';

/** What `GET /v1/switch` tells. */
export interface SwitchState {
  /** The plane in charge. */
  readonly plane: PlaneName;
  /** Planes there are, the best one first. */
  readonly planes: readonly PlaneName[];
  /** The last switch; not there without one. */
  readonly last?: SwitchRecord | undefined;
  /** The last news of a switch of this agent. */
  readonly progress?: SwitchProgress | undefined;
}

/** What is asked of the switcher. */
type AskedSwitcher = Pick<
  Switcher,
  'present' | 'planes' | 'record' | 'isUnderWay' | 'feed' | 'check' | 'switch'
>;

/** A line is written at least this often, in milliseconds. */
const SILENCE_MS = 10_000;
const NEWS = 'application/x-ndjson';

/**
 * The pages of the switcher.
 *
 * `GET /v1/switch` gives a {@link SwitchState}. `POST /v1/switch?to=PLANE` begins a switch and streams a
 * {@link SwitchProgress} a line to its end (an empty line when there is no news); the switch goes on when nobody reads.
 * `&drain-limit=SECONDS` ends connections of the old plane, `&dry-run=1` only checks. `POST /v1/switch?follow=1` streams
 * what goes on already, or the end of it. Refusals have status 400 or 409 and a body `{"error":…,"code":…}`.
 */
export function switchPages(switcher: AskedSwitcher, clock: Clock): StatusPages {
  const state = (): SwitchState => {
    const { present, planes, record, feed } = switcher;
    return { plane: present, planes, last: record, progress: feed.last };
  };
  const post = ({ url = '' }: IncomingMessage): Answer | StreamedAnswer => {
    const { searchParams } = new URL(url, 'http://agent');
    if (searchParams.has('follow'))
      return switcher.isUnderWay ? streamed(switcher, clock) : ended(switcher);
    const wish = wishIn(searchParams);
    if (typeof wish === 'string') return refusal(400, 'SY_SWITCH_REFUSED', wish);
    try {
      switcher.check(wish.to);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      return refusal(409, error.code, error.message);
    }
    if (searchParams.has('dry-run')) return json(200, `${JSON.stringify(state())}\n`);
    const news = streamed(switcher, clock);
    // What becomes of it is told to all who follow.
    switcher.switch(wish).catch(() => undefined);
    return news;
  };
  return new Map([
    ['/v1/switch', { GET: () => json(200, `${JSON.stringify(state())}\n`), POST: post }],
  ]);
}

/** The end of a switch that is over. */
function ended({ feed }: AskedSwitcher): Answer {
  const body = feed.last === undefined ? '' : `${JSON.stringify(feed.last)}\n`;
  return answer(200, NEWS, body);
}

function streamed({ feed }: AskedSwitcher, clock: Clock): StreamedAnswer {
  const pieces = lines(feed.follow(SILENCE_MS, clock));
  return { status: 200, contentType: NEWS, pieces };
}

async function* lines(news: AsyncIterable<SwitchProgress | undefined>): AsyncGenerator<string> {
  for await (const progress of news) {
    yield progress === undefined ? '\n' : `${JSON.stringify(progress)}\n`;
  }
}

/** The wish, or what is wrong with it. */
function wishIn(parameters: URLSearchParams): SwitchWish | string {
  const name = parameters.get('to') ?? '';
  const to = PLANE_NAMES.find((plane) => plane === name);
  if (to === undefined)
    return `There is no plane ${JSON.stringify(name)}: use ${PLANE_NAMES.join(', ')}.`;
  const limit = parameters.get('drain-limit');
  if (limit === null) return { to, drainLimitMs: null };
  if (!/^\d{1,6}$/.test(limit)) return 'drain-limit must be a whole number of seconds.';
  return { to, drainLimitMs: Number(limit) * 1000 };
}

function refusal(status: number, code: string, error: string): Answer {
  return json(status, `${JSON.stringify({ error, code })}\n`);
}
