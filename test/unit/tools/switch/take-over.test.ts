import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findKubeProxy } from '../../../../src/tools/switch/take-over.ts';
import { ScriptedIo } from '../../kernel/scripted-io.ts';
import { hasCode } from '../has-code.ts';

test('a take-over is refused where rules of iptables cannot be looked at', async () => {
  const machine = { io: new ScriptedIo(), iptables: [], planes: [] };
  const refusal = hasCode('SY_SWITCH_REFUSED', /nothing was changed.*Install iptables/);
  await assert.rejects(findKubeProxy(machine), refusal);
});
