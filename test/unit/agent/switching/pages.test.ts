import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { AgentError } from '../../../../src/agent/errors.ts';
import { ProgressFeed, type SwitchProgress } from '../../../../src/agent/switching/progress.ts';
import { switchPages } from '../../../../src/agent/switching/pages.ts';
import type { SwitchRecord } from '../../../../src/agent/switching/journal.ts';
import type { SwitchWish } from '../../../../src/agent/switching/switcher.ts';
import { FakeClock, turns } from '../fakes.ts';

const NEWS = {
  at: '1970-01-01T00:00:00Z',
  from: 'nftables',
  to: 'ipvs',
  text: 'so it goes',
} as const;

/** A switcher that takes down what it is asked for. */
class Asked {
  readonly present = 'nftables';
  readonly planes = ['nftables', 'ipvs'] as const;
  record: SwitchRecord | undefined;
  isUnderWay = false;
  readonly feed = new ProgressFeed();
  readonly wishes: SwitchWish[] = [];
  readonly clock = new FakeClock();

  check(to: string): void {
    if (to === 'iptables-nft') throw new AgentError('SY_PLANE_UNUSABLE', 'It lacks something.');
  }

  async switch(wish: SwitchWish): Promise<void> {
    this.wishes.push(wish);
    return Promise.resolve();
  }

  async ask(method: 'GET' | 'POST', query: string) {
    const request = new IncomingMessage(new Socket());
    request.url = `/v1/switch${query}`;
    return switchPages(this, this.clock).get('/v1/switch')?.[method]?.(request);
  }

  /** Status and body of an answer that is no stream. */
  async answer(method: 'GET' | 'POST', query: string): Promise<readonly [number, unknown]> {
    const answer = await this.ask(method, query);
    assert.ok(answer !== undefined && 'body' in answer);
    return [answer.status, JSON.parse(String(answer.body))];
  }
}

test('it tells how it stands', async () => {
  const asked = new Asked();
  const state = { plane: 'nftables', planes: ['nftables', 'ipvs'] };
  assert.deepEqual(await asked.answer('GET', ''), [200, state]);
  asked.feed.tell({ ...NEWS, step: 'draining', connections: 3 });
  const progress = { ...NEWS, step: 'draining', connections: 3 };
  assert.deepEqual(await asked.answer('GET', ''), [200, { ...state, progress }]);
});

test('a switch streams its news, a line each, and says that it lives', async () => {
  const asked = new Asked();
  const answer = await asked.ask('POST', '?to=ipvs&drain-limit=600');
  assert.ok(answer !== undefined && 'pieces' in answer);
  assert.deepEqual(asked.wishes, [{ to: 'ipvs', drainLimitMs: 600_000 }]);
  const pieces: string[] = [];
  const reading = (async () => {
    for await (const piece of answer.pieces) pieces.push(piece);
  })();
  const first: SwitchProgress = { ...NEWS, step: 'building' };
  const last: SwitchProgress = { ...NEWS, step: 'done' };
  asked.feed.tell(first);
  await asked.clock.pass(15_000);
  asked.feed.tell(last);
  await reading;
  assert.deepEqual(pieces, [`${JSON.stringify(first)}\n`, '\n', `${JSON.stringify(last)}\n`]);
});

test('a dry run and a follower change nothing', async () => {
  const asked = new Asked();
  assert.deepEqual((await asked.answer('POST', '?to=ipvs&dry-run=1'))[0], 200);
  asked.record = {
    configured: 'auto',
    from: 'ipvs',
    to: 'nftables',
    phase: 'retiring',
    since: NEWS.at,
    drainLimitMs: null,
  };
  asked.isUnderWay = true;
  const follower = await asked.ask('POST', '?follow=1');
  assert.ok(follower !== undefined && 'pieces' in follower);
  // Where it failed, the record may say something else.
  asked.isUnderWay = false;
  asked.feed.tell({ ...NEWS, step: 'failed' });
  assert.deepEqual(await asked.answer('POST', '?follow=1'), [200, { ...NEWS, step: 'failed' }]);
  await turns();
  assert.deepEqual(asked.wishes, []);
});

test('what cannot be is refused', async () => {
  const asked = new Asked();
  const refused = async (query: string): Promise<readonly [number, unknown]> =>
    asked.answer('POST', query);
  assert.deepEqual(await refused('?to=iptables-nft'), [
    409,
    { error: 'It lacks something.', code: 'SY_PLANE_UNUSABLE' },
  ]);
  for (const query of [
    '',
    '?to=userspace',
    '?to=ipvs&drain-limit=soon',
    '?to=ipvs&drain-limit=-1',
  ]) {
    assert.equal((await refused(query))[0], 400, query);
  }
  assert.deepEqual(asked.wishes, []);
});
