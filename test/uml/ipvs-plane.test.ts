/** What the ipvs plane leaves to others, and what it leaves behind for itself. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '../../src/core/route.ts';
import { Lab } from '../lab/lab.ts';
import { servers, type HostName } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { service as serviceAt, slice } from '../netns/conformance/objects.ts';
import { place } from '../netns/conformance/place.ts';
import { planeNamed } from '../netns/conformance/planes.ts';
import { World } from '../netns/conformance/world.ts';
import { frontend, route } from '../unit/core/routes.ts';
import { address } from './kernel/helpers.ts';

type Pod = 'pod-a' | 'pod-b' | 'pod-c' | 'pod-d';
type Weights = Readonly<Partial<Record<Pod, number>>>;

const service = 'shop/web';

describe('the ipvs plane', { skip: skipOutsideUml }, () => {
  let lab: Lab;
  let world: World;
  let cases = 0;
  let vip = '';

  before(async () => {
    lab = await Lab.open();
    world = await World.open(lab, planeNamed('ipvs'));
  });
  after(async () => {
    await world.close();
    await lab.close();
  });

  /** A Route of the case's own address, with these pods and weights. */
  function routeTo(weights: Weights, fields: Partial<Route> = {}): Route {
    const target = {
      kind: 'endpoints',
      endpoints: Object.entries(weights).map(([name, weight]) => ({
        address: address(servers[name as Pod].address.IPv4),
        port: 8080,
        local: name === 'pod-a' || name === 'pod-b',
        weight,
      })),
    } as const;
    return route({
      key: `${service}:http/TCP/IPv4`,
      service,
      label: `${service}:http`,
      frontends: [frontend('clusterIP', vip)],
      internal: target,
      external: target,
      ...fields,
    });
  }

  /** Does something with an address that no other case has, and takes its Route away again. */
  async function withOwnAddress(act: () => Promise<void>): Promise<void> {
    vip = place('IPv4', 200 + (cases += 1)).clusterIP();
    try {
      await act();
    } finally {
      await world.routes(service, []);
    }
  }

  /** How often each pod answered, with connections that end before the next one starts. */
  async function probe(count: number, from: HostName = 'client'): Promise<Weights> {
    return world.count(from, 'TCP', [vip, 80], { count });
  }

  test('a crash while a Service that is gone drains leaves its connections, and nothing else', () =>
    withOwnAddress(async () => {
      await world.routes(service, [routeTo({ 'pod-a': 1 }, { drainSeconds: 600 })]);
      const kept = await world.connect('client', [vip, 80]);
      await world.crash();
      await world.recover();
      assert.equal(await kept.echoes('after the restart'), true);
      await world.expect([{ from: 'client', over: 'TCP', to: [vip, 80], fails: 'timeout' }]);
      assert.deepEqual((await world.verify()).drift, []);
      assert.match(world.shell('node', 'ipset save'), new RegExp(`draining ${vip},tcp:80`));
      await kept.close();
    }));

  describe('where addresses are on kube-ipvs0 that local routes are to replace:', () => {
    const places = [place('IPv4', 240), place('IPv4', 241), place('IPv6', 240)];
    const addresses = places.map((at) => at.clusterIP());
    const objects = places.flatMap((at, index) => [
      serviceAt(at, { name: `web-${index}` }),
      slice(at, ['pod-a'], { service: `web-${index}` }),
    ]);
    const onLink = (): readonly string[] => {
      const shown = world.shell('node', 'ip -o addr show dev kube-ipvs0');
      return addresses.filter((each) => shown.includes(` ${each}/`));
    };
    const expectServed = async (): Promise<void> => {
      const routes = world.shell(
        'node',
        'for family in -4 -6; do ip $family route show table local dev kube-ipvs0; done',
      );
      // Those of protocol kernel go with the addresses.
      for (const each of addresses) {
        assert.ok(routes.includes(`local ${each} proto static `), routes);
      }
      await world.expect(
        addresses.map((each) => ({
          from: 'client',
          over: 'TCP',
          to: [each, 80],
          reaches: ['pod-a'],
        })),
      );
    };
    /** Binds them as kube-proxy does. */
    const addAddresses = (): string =>
      world.shell('node', addresses.map((each) => `ip addr add ${each} dev kube-ipvs0`).join('\n'));

    afterEach(() => world.startOver());

    test('every address has its route at each moment, also when the last address goes', async () => {
      await world.remove();
      world.shell('node', 'ip link add kube-ipvs0 type dummy');
      addAddresses();
      world.changeUnseen({ set: objects });
      await world.setUp({});
      await expectServed();
      await world.setUp({});
      await expectServed();
      await world.verify();
      await expectServed();
      assert.deepEqual(onLink(), []);
      assert.deepEqual((await world.verify()).drift, []);
    });

    test('a comparison that finds them takes them away, and no route with them', async () => {
      await world.change({ set: objects });
      addAddresses();
      await world.verify();
      await expectServed();
      assert.deepEqual(onLink(), []);
    });

    test('connections to what is not served any more live until they end', async () => {
      await world.change({ set: objects });
      const kept = await Promise.all(addresses.map((each) => world.connect('client', [each, 80])));
      await world.crash();
      addAddresses();
      for (const each of addresses) {
        const family = each.includes(':') ? '-6' : '-4';
        world.shell('node', `ip ${family} route del table local local ${each} proto static`);
      }
      world.changeUnseen({ remove: objects });
      await world.recover();
      for (const each of kept) assert.equal(await each.echoes('not forgotten'), true);
      assert.deepEqual(onLink(), []);
      await Promise.all(kept.map((each) => each.close()));
    });
  });

  describe('leaves virtual servers of others alone:', () => {
    test('one on a frontend of a Service is told, and gives way to the Service when it goes', () =>
      withOwnAddress(async () => {
        world.shell(
          'node',
          `ipvsadm -A -t ${vip}:80 -s sh; ipvsadm -a -t ${vip}:80 -r 10.244.1.11:8080 -m`,
        );
        const theirs = (): string => world.shell('node', `ipvsadm -Sn | grep -F ' ${vip}:80 '`);
        const listed = theirs();
        const { notices } = await world.routes(service, [routeTo({ 'pod-a': 1 })]);
        assert.match(notices.map(({ text }) => text).join(), /not ours has TCP .*left alone/);
        assert.equal(theirs(), listed);
        assert.deepEqual(await probe(3), { 'pod-b': 3 });
        assert.deepEqual((await world.verify()).drift, []);
        await world.routes(service, []);
        assert.equal(theirs(), listed, 'also when the Service goes');
        await world.routes(service, [routeTo({ 'pod-a': 1 })]);
        world.shell('node', `ipvsadm -D -t ${vip}:80`);
        await world.verify();
        await sleep(50);
        assert.deepEqual(await probe(3), { 'pod-a': 3 });
      }));

    test('one on another port of an external IP survives changes and a restart', () =>
      withOwnAddress(async () => {
        const frontends = [{ kind: 'externalIP', address: address(vip), port: 80 }] as const;
        world.shell('node', `ipvsadm -A -t ${vip}:81 -s sh`);
        const theirs = (): string => world.shell('node', `ipvsadm -Ln -t ${vip}:81`);
        const listed = theirs();
        await world.routes(service, [routeTo({ 'pod-a': 1 }, { frontends })]);
        await world.verify();
        await world.crash();
        await world.recover();
        await world.verify();
        assert.equal(theirs(), listed);
        world.shell('node', `ipvsadm -D -t ${vip}:81`);
      }));
  });
});
