/** What is tried with every pair of data planes: switching under traffic, being killed in the middle, going back. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlaneName } from '../../../src/agent/mode.ts';
import type { Lab } from '../../lab/lab.ts';
import { type ServerName, clusterCidr, nodeAddress } from '../../lab/topology.ts';
import { service, slice } from '../conformance/objects.ts';
import { type Place, place } from '../conformance/place.ts';
import { planesIn } from './planes.ts';
import { type Outcome, SwitchNode } from './switch-node.ts';
import { Traffic, type Way } from './traffic.ts';

const PLACES = [place('IPv4', 1), place('IPv6', 1)] as const;
const NODE_PORT = 30_080;
/** A switch is done sooner, on whatever machine; a drain as soon as connections end. */
const PATIENCE_MS = 60_000;

/** With and without masquerading of traffic from outside: without, a process of the node keeps the source it has. */
export const CIDR_FLAGS = [`--cluster-cidr=${clusterCidr.IPv4},${clusterCidr.IPv6}`] as const;

/** A node that serves `web` in both families with a plane. */
export async function startNode(
  lab: Lab,
  plane: PlaneName,
  flags: readonly string[],
): Promise<SwitchNode> {
  const node = new SwitchNode(lab, flags);
  for (const at of PLACES) serve(node, at, ['pod-a', 'pod-c']);
  // A mode that has two planes begins with the one of this machine.
  await node.start(plane.startsWith('iptables') ? 'iptables' : plane);
  if (!planesIn(node).includes(plane)) succeeded(await node.switch('--to', plane));
  return node;
}

/** Has `web` of a family served by these. */
export function serve(node: SwitchNode, at: Place, endpoints: readonly ServerName[]): void {
  const name = `web-${at.family.toLowerCase()}`;
  node.write(name, [
    service(at, { name, nodePort: NODE_PORT, clusterIP: at.clusterIP() }),
    slice(at, endpoints, { service: name }),
  ]);
}

/** Clients outside, in a pod and on the node itself; cluster IPs and node ports of both families. */
export async function startTraffic(lab: Lab): Promise<Traffic> {
  const ways = PLACES.flatMap((at): readonly Way[] => [
    ['client', at.clusterIP(), 80],
    ['client', nodeAddress[at.family], NODE_PORT],
    ['pod-a', at.clusterIP(), 80],
    ['node', at.clusterIP(), 80],
  ]);
  return Traffic.start(lab, ways);
}

/** Goes from one plane to the next, under traffic all the time. */
export async function switchAlong(
  lab: Lab,
  node: SwitchNode,
  planes: readonly PlaneName[],
): Promise<number> {
  const traffic = await startTraffic(lab);
  for (const to of planes) {
    const outcome = await node.switch('--to', to);
    succeeded(outcome);
    assert.match(outcome.stdout, /^building: .*\nretiring: .*\nverifying: .*\ndone: /s);
    assert.deepEqual(planesIn(node), [to]);
    assert.equal(await traffic.isAlive(), true, `connections after the switch to ${to}`);
  }
  return traffic.end();
}

/**
 * Goes from a plane that carries connections to another one, under traffic all the time: what was open before stays
 * until it ends, and then all is gone. Returns how many connections were made.
 */
export async function drainTo(lab: Lab, node: SwitchNode, to: PlaneName): Promise<number> {
  const from = planesIn(node);
  const traffic = await startTraffic(lab);
  const asked = node.switch('--to', to);
  await node.proxy.told(/"Switching the mode" step="draining"/);
  assert.equal(await traffic.isAlive(), true, `connections after the switch to ${to}`);
  assert.deepEqual(planesIn(node), [...from, to].toSorted());
  const probes = await traffic.end();
  const outcome = await asked;
  succeeded(outcome);
  assert.match(outcome.stdout, /^draining: 1?\d connections still need the ipvs plane$/m);
  assert.deepEqual(planesIn(node), [to]);
  return probes;
}

/** Where an agent is killed. */
export interface Kill {
  /** When a switch has come to this step. */
  readonly step: string;
  readonly to: PlaneName;
  /** What the configuration asks for, before and after. */
  readonly mode: string;
}

/** Kills the agent in the middle of a switch; the next one goes on with it. Under traffic all the time. */
export async function killAt(lab: Lab, node: SwitchNode, { step, to, mode }: Kill): Promise<void> {
  const traffic = await startTraffic(lab);
  const asked = node.switch('--to', to);
  await node.proxy.told(new RegExp(`"Switching the mode" step="${step}"`));
  const next = await node.restart('SIGKILL', mode);
  const { code, stderr } = await asked;
  assert.equal(code, 1, 'who watches is told that it did not end');
  assert.match(stderr, /SY_AGENT_ANSWER/);
  await next.told(/"Switching the mode" step="done"/);
  assert.equal(await traffic.isAlive(), true, 'connections afterwards');
  await traffic.end();
  assert.deepEqual(planesIn(node), [to]);
  assert.match(JSON.stringify(node.journal()), /"phase":"done"/);
}

/** Asserts that a command did what it was asked for. */
export function succeeded({ code, stdout, stderr }: Outcome): void {
  assert.deepEqual([code, stderr], [0, ''], stdout);
}

/** Waits for what the kernel tells nobody of. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    assert.ok(performance.now() < end, `not in ${PATIENCE_MS} ms`);
    await sleep(100);
  }
}
