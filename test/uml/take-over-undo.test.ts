/** What a take-over removes of kube-proxy's ipvs mode, and puts back: every kind of object, both families. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../src/agent/clock.ts';
import { openKernelIo } from '../../src/kernel/koffi-io.ts';
import { type CleanupMachine, openRuleTools } from '../../src/tools/cleanup/machine.ts';
import { planRestoration, putBack } from '../../src/tools/switch/put-back.ts';
import { findKubeProxy, takeOver } from '../../src/tools/switch/take-over.ts';
import { type UndoBundle, newestBundle } from '../../src/tools/switch/undo-bundle.ts';
import { loadIpvsMode } from '../netns/cleanup/recorded.ts';
import { shell } from '../netns/kernel/helpers.ts';
import { withIpvs } from './kernel/helpers.ts';

/** What the recorded virtual servers have nothing of. */
const SPECIAL = `-A -t 172.30.0.41:443 -s sh -p 600 -M 255.255.255.0 -b sh-port
-a -t 172.30.0.41:443 -r 10.180.0.1:8443 -m -w 7 -x 100 -y 50
-a -t 172.30.0.41:443 -r 10.180.0.2:8443 -m -w 0
-A -t [fd00:10:96::50]:443 -s wrr -p 300
`;
const FOREIGN = '-A -t 10.0.0.9:80 -s wlc\n';

/** Everything there is, without what the kernel chooses. */
function everything(): string {
  return shell(`
    for tool in iptables ip6tables; do
      $tool-legacy-save | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'
    done
    ipset save | sed 's/ bucketsize.*//' | sort
    ipvsadm -Sn | sort
    ip -br addr show | grep kube-ipvs0 | tr -s ' ' '\\n' | sort`);
}

withIpvs(import.meta.filename, () => {
  const state = mkdtempSync(join(tmpdir(), 'switchyard-undo-'));
  const io = openKernelIo();

  beforeEach(() => {
    shell('ip link add node0 type dummy; ip link set node0 up');
    shell('ip addr add 192.0.2.10/24 dev node0; ip addr add 2001:db8::10/64 dev node0 nodad');
    for (const tool of ['iptables', 'ip6tables']) {
      shell(`${tool}-legacy-restore`, '*nat\nCOMMIT\n*filter\nCOMMIT\n*mangle\nCOMMIT\n');
    }
    shell('ipvsadm -R', FOREIGN);
  });
  afterEach(() => {
    for (const tool of ['iptables', 'ip6tables']) {
      for (const table of ['nat', 'filter', 'mangle']) {
        shell(`${tool}-legacy -t ${table} -F; ${tool}-legacy -t ${table} -X`);
      }
    }
    shell('ipvsadm -C; ipset destroy; ip link del node0; ip link del kube-ipvs0');
    rmSync(state, { recursive: true });
  });

  test('all of it comes back as it was, also when that is interrupted', async () => {
    loadIpvsMode();
    shell('ipvsadm -R', SPECIAL);
    const full = everything();
    const iptables = openRuleTools(io);
    const machine: CleanupMachine = { io, iptables, planes: [] };
    try {
      const leftovers = await findKubeProxy(machine);
      assert.ok(leftovers !== undefined);
      await takeOver(leftovers, machine, {
        stateFolder: state,
        planes: { plane: 'nftables', planeBefore: null },
        drainLimitMs: 0,
        clock: SYSTEM_CLOCK,
        date: () => new Date(),
        onSaved: () => undefined,
        onDraining: () => undefined,
      });
      assert.doesNotMatch(everything(), /KUBE-SERVICES|KUBE-6|172\.30|fd00|kube-ipvs0/);
      const stored = await newestBundle(state);
      assert.ok(stored !== undefined);
      assert.equal(stored.bundle.phase, 'removed');
      assert.doesNotMatch(JSON.stringify(stored.bundle), /10\.0\.0\.9/);

      const restoration = await planRestoration(stored.bundle, machine);
      assert.equal(restoration.objects.length, leftovers.objects.length);
      assert.deepEqual(restoration.present, []);
      await putBack(restoration, machine);
      assert.equal(everything(), full);

      const restoring: UndoBundle = { ...stored.bundle, phase: 'restoring' };
      const again = await planRestoration(restoring, machine);
      assert.deepEqual(again.objects, []);
      await putBack(again, machine);
      assert.equal(everything(), full, 'a second call has nothing to do');

      // As if it had ended in the middle: of a virtual server, of the addresses, and before the last table.
      shell('ipvsadm -d -t 172.30.0.41:443 -r 10.180.0.2:8443; ipvsadm -D -t [fd00:10:96::50]:443');
      shell('ip addr del 172.30.0.41/32 dev kube-ipvs0');
      shell('ip6tables-legacy -t nat -F; ip6tables-legacy -t nat -X');
      await putBack(await planRestoration(restoring, machine), machine);
      assert.equal(everything(), full);
    } finally {
      for (const tool of iptables) tool.close();
    }
  });
});
