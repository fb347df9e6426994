import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PlanOptions, type Step, planFor } from '../../../../src/tools/migrate/plan.ts';

const COMMAND = 'switchyard migrate --kubeconfig admin.conf';
const NODES = Array.from({ length: 25 }, (_, index) => `node-${index}`);

function planOf(options: Partial<PlanOptions>): ReturnType<typeof planFor> {
  return planFor({
    proxy: 'kube-proxy',
    from: 'iptables',
    to: 'nftables',
    nodes: NODES,
    command: COMMAND,
    ...options,
  });
}

/** All that steps say, or have run. */
function words(steps: readonly Step[]): string {
  return steps.flatMap(({ text, commands }) => text.concat(commands)).join('\n');
}

describe('the plan of a migration', () => {
  it('changes one node, checks it, and then the others a tenth at a time, each once', () => {
    const { steps } = planOf({});
    const one = steps.findIndex(({ title }) => title.startsWith('One node'));
    assert.match(
      steps[one]?.commands.join('\n') ?? '',
      /^for node in node-0; do kubectl drain .*delete pod/m,
    );
    assert.match(steps[one]?.commands.join('\n') ?? '', /10249\/proxyMode/);
    const batches = steps[one + 1]?.commands ?? [];
    const named = batches
      .filter((line) => line.includes('delete pod'))
      .map((line) => /for node in ([^;]*);/.exec(line)?.[1]?.split(' ') ?? []);
    assert.equal(batches.filter((line) => line.includes('uncordon')).length, named.length);
    assert.ok(named.every((names) => names.length <= 3));
    assert.deepEqual(named.flat(), NODES.slice(1));
  });

  it('writes the configuration before any pod goes, and back by the mode there was', () => {
    const { steps, back } = planOf({});
    const lines = steps.flatMap(({ commands }) => commands);
    const written = lines.indexOf(`${COMMAND} --to nftables --apply`);
    assert.ok(written >= 0);
    assert.ok(written < lines.findIndex((line) => line.includes('delete pod')));
    assert.equal(back[0]?.commands[0], `${COMMAND} --to iptables --apply`);
  });

  it('names the mode to go back to only where it is known', () => {
    const { back } = planOf({ from: 'nftables' });
    assert.equal(back[0]?.commands[0], `${COMMAND} --to OLD-MODE --apply`);
  });

  it('cleans up where kube-proxy does not, and only there', () => {
    const cleanup = /cleanup --owner kube-proxy --mode ipvs/;
    assert.match(words(planOf({ from: 'ipvs', to: 'iptables' }).steps), cleanup);
    assert.doesNotMatch(words(planOf({ from: 'ipvs', to: 'nftables' }).steps), cleanup);
  });

  it('warns that IPVS servers of others go when kube-proxy changes to nftables', () => {
    const warning = /every IPVS virtual server of the node, also those of others/;
    assert.match(words(planOf({}).steps), warning);
    assert.doesNotMatch(words(planOf({ from: 'nftables', to: 'iptables' }).steps), warning);
  });

  it('puts Switchyard in by the image, one node first, and takes it out with its rules', () => {
    const { steps, back } = planOf({ proxy: 'switchyard' });
    const lines = steps.flatMap(({ commands }) => commands);
    const replaced = lines.indexOf('kubectl replace -k deploy/kubeadm');
    const deleted = lines.findIndex((line) => line.endsWith('nodeName=node-0'));
    const rolled = lines.findIndex((line) => line.includes('RollingUpdate'));
    assert.ok(replaced >= 0 && replaced < deleted && deleted < rolled);
    const ways = back.flatMap(({ commands }) => commands).join('\n');
    assert.match(ways, /rollout undo daemonset kube-proxy/);
    assert.match(ways, /switchyard cleanup/);
    assert.match(words(planOf({ proxy: 'switchyard' }).steps), /--skip-phases=addon\/kube-proxy/);
  });

  it('watches connections, conntrack and failures of the new mode', () => {
    const { commands } = planOf({}).watch;
    assert.match(
      commands.join('\n'),
      /ss -s[^]*nf_conntrack_count[^]*nftables_sync_failures_total/,
    );
    assert.match(
      planOf({ to: 'ipvs' }).watch.commands.join('\n'),
      /iptables_restore_failures_total/,
    );
  });
});
