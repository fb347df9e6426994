import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { unifiedDiff } from '../../../../src/tools/migrate/diff.ts';
import { editConfig } from '../../../../src/tools/migrate/edit-config.ts';
import { hasCode } from '../has-code.ts';

const KUBEADM = readFileSync(
  new URL('../../../fixtures/kubeadm/config.conf', import.meta.url),
  'utf8',
);
const HEADER = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

/** Only the lines that a change removes and adds. */
function changes(before: string, after: string): readonly string[] {
  return unifiedDiff(before, after).filter((line) => /^[-+]/.test(line));
}

describe('changing the mode of a configuration', () => {
  it('of kubeadm changes the mode and what belongs to it, and keeps every other line and comment', () => {
    const { text, mode, carried } = editConfig(KUBEADM, 'nftables', 'iptables');
    assert.equal(mode, '');
    assert.deepEqual(changes(KUBEADM, text), [
      '-mode: "" # iptables, as ever',
      '+mode: nftables # iptables, as ever',
      '-  masqueradeAll: false',
      '+  masqueradeAll: true',
    ]);
    assert.equal(carried.length, 1);
    assert.match(carried[0] ?? '', /^nftables\.masqueradeAll is now true/);
  });

  it('carries nothing where both modes have the same setting', () => {
    const { text, carried } = editConfig(KUBEADM, 'ipvs', 'iptables');
    assert.deepEqual(changes(KUBEADM, text), [
      '-mode: "" # iptables, as ever',
      '+mode: ipvs # iptables, as ever',
    ]);
    assert.deepEqual(carried, []);
  });

  it('makes sections that are missing or empty', () => {
    const old = `${HEADER}mode: iptables\niptables:\n  minSyncPeriod: 5s # calm\n`;
    const { text } = editConfig(old, 'nftables', 'iptables');
    assert.deepEqual(changes(old, text), [
      '-mode: iptables',
      '+mode: nftables',
      '+nftables:',
      '+  minSyncPeriod: 5s',
    ]);
    const empty = `${old}nftables:\n`;
    assert.equal(
      editConfig(empty, 'nftables', 'iptables').text,
      `${HEADER}mode: nftables\niptables:\n  minSyncPeriod: 5s # calm\nnftables:\n  minSyncPeriod: 5s\n`,
    );
  });

  it('does not overwrite what somebody set for the new mode', () => {
    const old = `${HEADER}mode: iptables\niptables: {minSyncPeriod: 5s}\nnftables: {minSyncPeriod: 2s}\n`;
    const { text, carried } = editConfig(old, 'nftables', 'iptables');
    assert.match(text, /nftables: *\{ ?minSyncPeriod: 2s ?\}/);
    assert.deepEqual(carried, []);
  });

  it('takes what counts from the mode that is written, not from the one that is assumed', () => {
    const old = `${HEADER}mode: ipvs\nipvs:\n  syncPeriod: 7s\niptables:\n  syncPeriod: 9s\n`;
    assert.match(editConfig(old, 'nftables', 'iptables').text, /nftables:\n  syncPeriod: 7s\n/);
  });

  it('adds the mode where there is none', () => {
    assert.equal(editConfig(HEADER, 'ipvs', 'iptables').text, `${HEADER}mode: ipvs\n`);
  });

  it('changes nothing where it is right already', () => {
    const old = `# ours\n${HEADER}\nmode: nftables   # yes\nnodePortAddresses:\n- 10.0.0.0/8\n`;
    const { text } = editConfig(old, 'nftables', 'iptables');
    assert.deepEqual(changes(old, text.replace('nftables # yes', 'nftables   # yes')), []);
  });

  it('keeps our own document behind it', () => {
    const own =
      '---\napiVersion: switchyard.dev/v1alpha1\nkind: SwitchyardConfiguration\n# soon\ncoalesceWindow: 2ms\n';
    const { text } = editConfig(`${HEADER}mode: iptables\n${own}`, 'nftables', 'iptables');
    assert.equal(text, `${HEADER}mode: nftables\n${own}`);
  });

  it('edits JSON too', () => {
    const json =
      '{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration","mode":"iptables"}';
    const { text } = editConfig(json, 'nftables', 'iptables');
    assert.equal(editConfig(text, 'nftables', 'iptables').mode, 'nftables');
  });

  it('is refused for what is no such configuration', () => {
    for (const text of ['', 'kind: [', 'kind: ConfigMap\n', '- a\n', 'text']) {
      assert.throws(
        () => editConfig(text, 'nftables', 'iptables'),
        hasCode('SY_MIGRATE_UNREADABLE', /KubeProxyConfiguration/),
        text,
      );
    }
    assert.throws(
      () => editConfig(`${HEADER}mode: 7\n`, 'nftables', 'iptables'),
      hasCode('SY_CONFIG_INVALID', /mode/),
    );
  });
});
