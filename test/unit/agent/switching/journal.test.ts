import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type SwitchRecord, openJournal } from '../../../../src/agent/switching/journal.ts';
import { chooseStart } from '../../../../src/agent/switching/start.ts';
import type { PlaneMode } from '../../../../src/agent/config/option.ts';
import type { PlaneOffer } from '../../../../src/agent/mode.ts';
import { FakePlane } from '../fakes.ts';

const RECORD: SwitchRecord = {
  configured: 'auto',
  from: 'ipvs',
  to: 'iptables-nft',
  phase: 'retiring',
  since: '2026-11-22T04:05:06Z',
  drainLimitMs: 600_000,
};

/** A folder that goes with the test. */
class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'switchyard-journal-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

class OfferedPlane extends FakePlane {
  readonly of: PlaneMode;

  constructor(of: PlaneMode) {
    super();
    this.of = of;
  }
}

const offer = (mode: PlaneMode, missing: readonly PlaneMode[] = []): PlaneOffer => ({
  mode,
  open: () =>
    Object.assign(new OfferedPlane(mode), {
      probe: () => [{ name: 'kernel', ok: !missing.includes(mode), detail: 'no such thing.' }],
    }),
});

const OFFERS = [offer('nftables'), offer('ipvs'), offer('iptables')];

test('what is written is read, by another agent too, and only root can', () => {
  using folder = new Folder();
  const inside = join(folder.path, 'not', 'there', 'yet');
  assert.equal(openJournal(inside).read(), undefined);
  openJournal(inside).write(RECORD);
  assert.deepEqual(openJournal(inside).read(), RECORD);
  const done: SwitchRecord = { ...RECORD, phase: 'done', drainLimitMs: null };
  openJournal(inside).write(done);
  assert.deepEqual(openJournal(inside).read(), done);
  assert.deepEqual(readdirSync(inside), ['switch.json'], 'nothing is left of the writing');
  assert.equal(statSync(inside).mode & 0o777, 0o700);
  assert.equal(statSync(join(inside, 'switch.json')).mode & 0o777, 0o600);
  openJournal(inside).clear();
  assert.equal(openJournal(inside).read(), undefined);
});

test('a journal that is not whole is an error that names it', () => {
  using folder = new Folder();
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    JSON.stringify({ ...RECORD, to: 'userspace' }),
    JSON.stringify({ ...RECORD, phase: 'half' }),
    JSON.stringify({ ...RECORD, since: 'yesterday' }),
    JSON.stringify({ ...RECORD, drainLimitMs: 'long' }),
  ]) {
    writeFileSync(join(folder.path, 'switch.json'), text);
    assert.throws(() => openJournal(folder.path).read(), {
      code: 'SY_SWITCH_JOURNAL',
      message: /switch\.json.*Repair or remove it/,
    });
  }
});

test('an agent starts where a switch has come to', () => {
  using folder = new Folder();
  const journal = openJournal(folder.path);
  const started = (configured: 'auto' | PlaneMode = 'auto', offers = OFFERS): string => {
    const troubles: string[] = [];
    const { choice, record } = chooseStart(configured, offers, journal, (error) =>
      troubles.push(String(error)),
    );
    assert.ok(choice.plane instanceof OfferedPlane);
    return [choice.plane.of, record?.phase, ...troubles].join(' ');
  };
  assert.equal(started(), 'nftables ');
  journal.write({ ...RECORD, phase: 'building' });
  assert.equal(started(), 'ipvs building');
  journal.write(RECORD);
  assert.equal(started(), 'iptables retiring');
  assert.match(
    started('auto', [offer('nftables'), offer('iptables', ['iptables'])]),
    /^nftables {2}AgentError: The iptables mode cannot work here/,
    'a mode that does not work any more',
  );
  assert.equal(started('ipvs'), 'ipvs ', 'the configuration has changed its mind');
  assert.equal(journal.read(), undefined);
  writeFileSync(join(folder.path, 'switch.json'), '{');
  assert.match(started(), /^nftables {2}AgentError: The journal/);
});
