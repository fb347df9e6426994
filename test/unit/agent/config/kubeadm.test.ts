import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig } from '../../../../src/agent/config/load.ts';
import { HEADER, loadFile } from './loading.ts';

const PATH = new URL('../../../fixtures/kubeadm/config.conf', import.meta.url);

test('the configuration that kubeadm writes is accepted, zero values meaning defaults', () => {
  const { settings, warnings } = loadConfig({
    flags: new Map([['config', 'config.conf']]),
    readFile: () => readFileSync(PATH, 'utf8'),
    hostname: 'node-1',
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [settings.mode, settings.logFlushFrequency, settings.conntrackMaxPerCore, settings.clusterCidr],
    ['auto', 5000, 65_536, ['10.244.0.0/16']],
  );
});

test('logging.flushFrequency alone takes nanoseconds', () => {
  const { settings } = loadFile(`${HEADER}logging: {flushFrequency: 2000000000}\n`);
  assert.equal(settings.logFlushFrequency, 2000);
  for (const wrong of ['logging: {flushFrequency: 1.5}', 'configSyncPeriod: 2000000000']) {
    assert.throws(() => loadFile(`${HEADER}${wrong}\n`), /must be a duration/);
  }
});
