import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProxyItem } from '../../../../src/core/change.ts';
import type { EndpointSlice, Service } from '../../../../src/core/model.ts';
import { select } from '../../../../src/core/select/select.ts';
import {
  changeableSlices,
  connectable,
  inventWorkload,
  withoutEndpoint,
} from '../../../../src/tools/advise/measure/workload.ts';
import { endpoint, port, service, slice, view } from '../../core/build.ts';

function itemsOf(services: readonly Service[], slices: readonly EndpointSlice[]): ProxyItem[] {
  return [
    ...services.map((object) => ({ kind: 'Service', object }) as const),
    ...slices.map((object) => ({ kind: 'EndpointSlice', object }) as const),
  ];
}

/** A Service with one TCP port, and a slice with endpoints for it. */
function pair(
  name: string,
  fields: Partial<Service>,
  endpoints: EndpointSlice['endpoints'],
): readonly [Service, EndpointSlice] {
  const whole = service({ name, ports: [port()], ...fields });
  const own = slice(endpoints, {
    namespace: whole.namespace,
    name: `${name}-1`,
    serviceName: name,
  });
  return [whole, own];
}

describe('made-up Services', () => {
  it('are served with all their endpoints, which no two have in common', () => {
    const items = inventWorkload(30, 3);
    const addresses = new Set<string>();
    const slices = new Map<string, EndpointSlice>();
    for (const item of items) {
      if (item.kind === 'EndpointSlice') slices.set(item.object.serviceName, item.object);
    }
    let services = 0;
    for (const item of items) {
      if (item.kind !== 'Service') continue;
      services++;
      const own = slices.get(item.object.name);
      assert.ok(own);
      const { routes, problems } = select(item.object, [own], view());
      assert.deepEqual([routes.length, problems], [1, []]);
      for (const { address } of own.endpoints) addresses.add(address);
      for (const address of item.object.clusterIPs) addresses.add(address);
    }
    assert.equal(services, 30);
    assert.equal(addresses.size, 30 * 4);
  });

  it('can all be changed and connected to, the first and the last one among those that are', () => {
    const items = inventWorkload(30, 3);
    assert.equal(changeableSlices(items).length, 30);
    const aims = connectable(items, 8);
    assert.equal(aims.length, 8);
    const [first] = aims;
    assert.equal(first?.name, 'team-0/service-0:http');
    assert.equal(aims.at(-1)?.name, 'team-29/service-29:http');
    assert.deepEqual([first.port, first.endpointPort, first.endpoints.length], [80, 8080, 3]);
  });
});

describe('Services of a user', () => {
  const ready = [endpoint('10.1.0.1'), endpoint('10.1.0.2')];

  it('lose one endpoint that was ready in a change, and nothing else', () => {
    const [, own] = pair('a', {}, [endpoint('10.1.0.9', { ready: false }), ...ready]);
    const left = withoutEndpoint(own).endpoints.map(({ address }) => address);
    assert.deepEqual(left, ['10.1.0.9', '10.1.0.2']);
  });

  it('are not changed where that would make no difference', () => {
    const pairs = [
      pair('good', {}, ready),
      pair('local', { internalTrafficPolicy: 'Local' }, ready),
      pair('foreign', { foreignProxy: true }, ready),
      pair('headless', { clusterIPs: [] }, ready),
      pair('dead', {}, [endpoint('10.1.0.1', { ready: false })]),
    ];
    const orphan = slice(ready, { namespace: 'default', name: 'orphan-1', serviceName: 'orphan' });
    const items = itemsOf(
      pairs.map(([whole]) => whole),
      [...pairs.map(([, own]) => own), orphan],
    );
    assert.deepEqual(
      changeableSlices(items).map(({ serviceName }) => serviceName),
      ['good'],
    );
  });

  it('are not connected to where it is not certain which port that leads to', () => {
    const [twoPorts, first] = pair('two', {}, ready);
    const second = { ...first, name: 'two-2', ports: [{ ...port(), name: '', port: 9 }] };
    const other = first.ports.map((own) => ({ ...own, port: 8 }));
    const items = itemsOf(
      [
        twoPorts,
        ...[pair('udp', { ports: [port({ protocol: 'UDP' })] }, ready), pair('empty', {}, [])].map(
          ([whole]) => whole,
        ),
      ],
      [{ ...first, ports: other }, second],
    );
    assert.deepEqual(connectable(items, 8), []);
  });

  it('are connected to once if there is only one', () => {
    const [whole, own] = pair('one', {}, ready);
    assert.equal(connectable(itemsOf([whole], [own]), 8).length, 1);
    assert.deepEqual(connectable([], 8), []);
  });
});
