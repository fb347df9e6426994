/** Options that only ipvs mode has, through the real process to the kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nodeAddress } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { service, slice } from '../netns/conformance/objects.ts';
import { place } from '../netns/conformance/place.ts';
import { openNodes } from './ipvs-node.ts';
import { failures, places, writeWeb } from './ipvs-web.ts';
import { annotated, until } from './ipvs-world.ts';

const all = '0.0.0.0/0,::/0';

describe('options of ipvs mode', { skip: skipOutsideUml }, () => {
  const newNode = openNodes();

  test('bindMode address: addresses on kube-ipvs0, which serve no node ports', async () => {
    await using node = newNode();
    writeWeb(node);
    const flags = { 'bind-mode': 'address', 'nodeport-addresses': all };
    const proxy = await node.start(flags);
    const onLink = (): readonly string[] =>
      node
        .shell('ip -o addr show dev kube-ipvs0')
        .split('\n')
        .flatMap((line) => / (?:inet|inet6) (\S+)\//.exec(line)?.[1] ?? [])
        .filter((address) => !address.startsWith('fe80'))
        .toSorted();
    /** Addresses with a virtual server on the node port. */
    const withNodePort = (): ReadonlySet<string> =>
      new Set(
        node
          .shell('ipvsadm -Sn')
          .split('\n')
          .flatMap((line) => /^-A -[tu] \[?([^\]]+?)\]?:30080 /.exec(line)?.[1] ?? []),
      );
    const served = withNodePort();
    for (const at of places) assert.ok(served.has(nodeAddress[at.family]), [...served].join());
    assert.deepEqual(onLink(), places.map((at) => at.clusterIP()).toSorted());
    assert.deepEqual(await failures(node), []);

    // The addresses of the node are looked at again with each one that comes.
    const [at = place('IPv4', 1)] = places;
    const other = { name: 'other', clusterIP: at.clusterIP(1) };
    node.write('other', [service(at, other), slice(at, ['pod-a'], { service: 'other' })]);
    await until('the other Service', () => onLink().includes(other.clusterIP));
    await proxy.told(/"Programmed" how="apply".*other/);
    assert.deepEqual(withNodePort(), served);
    proxy.kill('SIGKILL');
    await proxy.ended;
    await node.start(flags);
    assert.deepEqual(withNodePort(), served);
    assert.deepEqual(await failures(node), []);
    node.erase('other');
    await until('the address to go', () => !onLink().includes(other.clusterIP));
    assert.deepEqual(await failures(node), []);
  });

  test('strictARP: the sysctls, and without it not', async () => {
    const arp = 'cd /proc/sys/net/ipv4/conf/all; cat arp_ignore arp_announce';
    const reset = 'cd /proc/sys/net/ipv4/conf/all; echo 0 | tee arp_ignore arp_announce';
    await using node = newNode();
    writeWeb(node);
    node.shell(reset);
    const proxy = await node.start();
    assert.equal(node.shell(arp), '0\n0\n');
    proxy.kill('SIGTERM');
    await proxy.ended;
    await node.start({ 'ipvs-strict-arp': 'true' });
    assert.equal(node.shell(arp), '1\n2\n');
    assert.deepEqual(await failures(node), []);
    node.shell(reset);
  });

  test('timeouts: those that are configured, and the others as they were', async () => {
    await using node = newNode();
    node.shell('ipvsadm --set 900 120 300');
    await node.start({ 'ipvs-tcp-timeout': '1h', 'ipvs-udp-timeout': '45s' });
    const listed = await node.switchyard('ipvs', 'timeouts');
    assert.equal(listed, node.shell('ipvsadm -L --timeout'));
    assert.match(listed, /: 3600 120 45$/m);
    node.shell('ipvsadm --set 900 120 300');
  });

  test('excludeCIDRs: what others have there stays, Services there are served', async () => {
    await using node = newNode();
    writeWeb(node);
    const [at = place('IPv4', 1), at6 = place('IPv6', 1)] = places;
    const theirs = [`${at.clusterIP(8)}:80`, `[${at6.clusterIP(8)}]:80`];
    for (const name of theirs) node.shell(`ipvsadm -A -t ${name} -s wlc`);
    const excluded = `${at.clusterIP()}/24,${at6.clusterIP()}/112`;
    const left = (): readonly string[] =>
      theirs.filter((name) => node.shell('ipvsadm -Sn').includes(`-t ${name} -s wlc`));
    const proxy = await node.start({ 'ipvs-exclude-cidrs': excluded });
    assert.deepEqual(await failures(node), []);
    assert.deepEqual(left(), theirs);
    proxy.kill('SIGKILL');
    await proxy.ended;
    // What an earlier run left of a Service that is gone is told from what others have by nothing but the range.
    node.erase('web-IPv4');
    await node.start({ 'ipvs-exclude-cidrs': excluded });
    assert.deepEqual(left(), theirs);
    for (const name of theirs) node.shell(`ipvsadm -D -t ${name}`);
  });

  test('a scheduler that the kernel lacks is counted for the Service that asks for it', async () => {
    await using node = newNode();
    const [at = place('IPv4', 1)] = places;
    node.write('odd', [
      annotated(service(at, { name: 'odd' }), { 'ipvs-scheduler': 'twos' }),
      slice(at, ['pod-a'], { service: 'odd' }),
    ]);
    const other = { name: 'other', clusterIP: at.clusterIP(1) };
    node.write('other', [service(at, other), slice(at, ['pod-a'], { service: 'other' })]);
    const proxy = await node.start();
    await proxy.told(/served in another way.*shop\/odd.*twos/);
    const errors = node.metrics().filter((line) => line.startsWith('ipvs_scheduler_errors_total{'));
    assert.equal(errors.length, 1, errors.join());
    assert.match(errors[0] ?? '', /namespace="shop",name="odd"\} [1-9]/);
  });

  test('a scheduler of the mode that the kernel lacks: said so, with the module, and nothing is written', async () => {
    await using node = newNode();
    writeWeb(node);
    const there = (): string => node.shell('ipvsadm -Sn; ipset list -n; iptables -S');
    const untouched = there();
    const proxy = node.launch({ 'ipvs-scheduler': 'twos' });
    await proxy.told(/SY_KERNEL_NO_SCHEDULER.*ip_vs_twos/);
    assert.equal(there(), untouched);
  });
});
