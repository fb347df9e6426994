import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { run } from './run.ts';

/** Nothing of the machine that the tests run on counts. */
const ELSEWHERE = ['advise', '--kernel', '5.4'] as const;

describe('switchyard advise', () => {
  it('names the mode, what decided, what would change it, and how to go there', async () => {
    const { code, stdout, stderr } = await run(...ELSEWHERE, '--services', '5000');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Mode: ipvs\n\nWhat decided\n/);
    assert.match(stdout, /Does nftables mode work on this kernel\? No: Linux 5\.4\.\n/);
    assert.match(
      stdout,
      /\? Yes \(assumed\): ipvs mode was not tried on this kernel\.\n {4}To find out: /,
    );
    assert.match(stdout, /\nWhat would change it\n[^]*\? Yes: nftables\.\n/);
    assert.match(stdout, /\nTo go there\n {2}switchyard switch --to ipvs/);
  });

  it('gives the same as JSON and YAML', async () => {
    const json = await run(...ELSEWHERE, '--services', '10', '-o', 'json');
    const advice = JSON.parse(json.stdout) as { readonly mode: string };
    assert.deepEqual([json.code, advice.mode], [0, 'iptables']);
    const yaml = await run(...ELSEWHERE, '--services', '10', '-o', 'yaml');
    assert.match(yaml.stdout, /^mode: iptables\n/);
  });

  it('prints the tree and nothing else', async () => {
    const { code, stdout } = await run('advise', '--tree');
    assert.equal(code, 0);
    assert.match(stdout, /^flowchart TD\n {2}cni\{"/);
  });

  it('refuses what cannot be, and measuring without Services', async () => {
    for (const [args, message] of [
      [['--services', 'many'], /--services[^]*It must be a whole number from 0 on/],
      [['--schedulers', 'perhaps'], /It must be yes or no/],
      [['--proxy', 'cilium'], /It must be switchyard or kube-proxy/],
      [['-o', 'table'], /text, json, yaml/],
      [['--manifests', 'a', '--kubeconfig', 'b'], /cannot be used with/],
      [['--measure'], /--measure needs --manifests, --kubeconfig or --services/],
      [['--measure', '--services', '70000'], /up to 60000 Services/],
    ] as const) {
      const { code, stdout, stderr } = await run(...ELSEWHERE, ...args);
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
      assert.match(stderr, message);
    }
  });

  it('believes flags more than a file, and a file more than objects', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-advise-'));
    try {
      const facts = join(folder, 'facts.yaml');
      writeFileSync(facts, 'services: 2000\nkernel: 5.4\nschedulers: no\n');
      const shop = new URL('../../../examples/shop', import.meta.url).pathname;
      const args = ['advise', '--manifests', shop, '--facts', facts];
      assert.match((await run(...args)).stdout, /Yes: 2,000 Services/);
      assert.match((await run(...args, '--services', '3000')).stdout, /Yes: 3,000 Services/);
      const missing = await run(...args, '--facts', join(folder, 'none'));
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /SY_CONFIG_UNREADABLE: .*none does not exist/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('does not show the command that its processes start with', async () => {
    const { stdout } = await run('--help');
    assert.match(stdout, /advise/);
    assert.doesNotMatch(stdout, /advise-worker/);
  });
});
