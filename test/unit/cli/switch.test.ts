import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json } from '../../../src/agent/http/answer.ts';
import type { StatusDocument } from '../../../src/agent/status/documents.ts';
import { Folder, ServerUnderTest } from '../agent/status/socket.ts';
import { type Outcome, run } from './run.ts';

/** What `switch` comes to where an agent in nftables mode has this status, and what was asked for by POST. */
async function ask(
  status: Pick<StatusDocument, 'servingSince' | 'lastError'>,
  ...args: readonly string[]
): Promise<Outcome & { readonly posts: number }> {
  using folder = new Folder();
  const socket = folder.file('status.sock');
  let posts = 0;
  await using under = new ServerUnderTest(
    socket,
    new Map([
      ['/v1/status', { GET: () => json(200, JSON.stringify(status)) }],
      [
        '/v1/switch',
        {
          GET: () => json(200, '{"plane":"nftables","planes":["nftables","ipvs"]}'),
          POST: () => {
            posts++;
            return json(409, '{"error":"not now"}');
          },
        },
      ],
    ]),
  );
  await under.server.open();
  const flags = [`--status-socket=${socket}`, `--state-folder=${folder.file('state')}`];
  return { ...(await run('switch', ...args, ...flags)), posts };
}

const FAILURE = { at: '2026-11-22T08:00:00Z', error: 'No buffer space.', lasts: true };

for (const flags of [[], ['--dry-run']]) {
  const args = ['--to', 'nftables', ...flags];
  test(`switch ${args.join(' ')} is refused while the agent does not serve`, async () => {
    const { code, stdout, stderr, posts } = await ask({}, ...args);
    assert.deepEqual([code, stdout, posts], [1, '', 0]);
    assert.match(stderr, /SY_SWITCH_REFUSED.*serves no Services yet/);
  });

  test(`switch ${args.join(' ')} is refused while programming fails`, async () => {
    const status = { servingSince: '2026-11-22T07:00:00Z', lastError: FAILURE };
    const { code, stdout, stderr, posts } = await ask(status, ...args);
    assert.deepEqual([code, stdout, posts], [1, '', 0]);
    assert.match(stderr, /SY_SWITCH_REFUSED.*No buffer space\./);
  });
}

test('an agent whose plane fails is asked for another one', async () => {
  const status = { servingSince: '2026-11-22T07:00:00Z', lastError: FAILURE };
  const { code, stderr, posts } = await ask(status, '--to', 'ipvs');
  assert.deepEqual([code, posts], [1, 1]);
  assert.match(stderr, /SY_SWITCH_REFUSED.*not now/);
});

test('a refusal gives a document all the same, where one is wanted', async () => {
  const { code, stdout, stderr } = await ask({}, '--to', 'nftables', '-o', 'json');
  assert.deepEqual([code, JSON.parse(stdout)], [1, {}]);
  assert.match(stderr, /SY_SWITCH_REFUSED/);
});
