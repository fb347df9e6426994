import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../src/agent/errors.ts';
import { type PlaneOffer, chooseMode } from '../../../src/agent/mode.ts';
import { FakePlane } from './fakes.ts';

function offer(mode: PlaneOffer['mode'], missing?: string): PlaneOffer & { plane: FakePlane } {
  const plane = new FakePlane();
  plane.probe = () => [
    { name: 'netlink', ok: true, detail: '' },
    { name: 'masquerading', ok: missing === undefined, detail: missing ?? '' },
  ];
  return { mode, plane, open: () => plane };
}

function refused(run: () => unknown): AgentError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof AgentError);
    return error;
  }
  return assert.fail('it was not refused');
}

test('auto takes the best mode that works here, and says why it is not a better one', () => {
  const good = offer('nftables');
  const other = offer('iptables');
  const best = chooseMode('auto', [good, other]);
  assert.equal(best.plane, good.plane);
  assert.match(best.reason, /nftables is the best mode/);
  const lacking = offer('nftables', 'Load the module nft_masq.');
  const second = chooseMode('auto', [lacking, other]);
  assert.equal(second.plane, other.plane);
  assert.match(second.reason, /nftables mode cannot work here.*Load the module nft_masq/);
  assert.deepEqual(lacking.plane.calls, ['close']);
});

test('a mode that is asked for is taken, and no other is put in its place', () => {
  const other = offer('iptables');
  assert.equal(chooseMode('iptables', [offer('nftables'), other]).plane, other.plane);
  const lacking = offer('nftables', 'Load the module nft_masq.');
  const error = refused(() => chooseMode('nftables', [lacking, other]));
  assert.equal(error.code, 'SY_PLANE_UNUSABLE');
  assert.match(error.message, /nftables mode cannot work here.*masquerading: Load the module/);
  assert.ok(!error.message.includes('netlink'));
  assert.deepEqual(lacking.plane.calls, ['close']);
  assert.deepEqual(other.plane.calls, []);
});
