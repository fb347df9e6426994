import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectStore } from '../../../src/core/store.ts';
import { endpoint, port, service, slice } from './build.ts';

const withNodePort = service({
  name: 'np',
  ports: [port(), port({ name: 'x', nodePort: 30_080 })],
});

test('a Service and its slices are found together, in whatever order they came', () => {
  const store = new ObjectStore();
  const one = slice([endpoint('10.1.0.1')]);
  const two = slice([], { name: 'web-2' });
  store.setSlice(one);
  store.setService(service());
  store.setSlice(two);
  store.setSlice(slice([], { name: 'other-1', serviceName: 'other' }));
  store.setSlice(slice([], { name: 'web-1', namespace: 'elsewhere' }));
  assert.deepEqual(store.get('shop/web'), { service: service(), slices: [one, two] });
  assert.deepEqual(store.get('shop/none'), { service: undefined, slices: [] });
});

test('a slice that comes again takes the place of the one it was', () => {
  const store = new ObjectStore();
  store.setSlice(slice([endpoint('10.1.0.1')]));
  const later = slice([endpoint('10.1.0.2')]);
  store.setSlice(later);
  assert.deepEqual(store.get('shop/web').slices, [later]);
});

test('each touched Service is named once, and only since the last call', () => {
  const store = new ObjectStore();
  store.setService(service());
  store.setSlice(slice([]));
  store.setService(service({ name: 'other' }));
  assert.deepEqual(store.takeDirty(), ['shop/web', 'shop/other']);
  assert.deepEqual(store.takeDirty(), []);
  store.setSlice(slice([], { name: 'web-2' }));
  assert.deepEqual(store.takeDirty(), ['shop/web']);
});

test('a slice that moves to another Service touches both', () => {
  const store = new ObjectStore();
  store.setSlice(slice([]));
  store.takeDirty();
  const moved = slice([], { serviceName: 'other' });
  store.setSlice(moved);
  assert.deepEqual(store.takeDirty().toSorted(), ['shop/other', 'shop/web']);
  assert.deepEqual(store.get('shop/web').slices, []);
  assert.deepEqual(store.get('shop/other').slices, [moved]);
});

test('what is removed is touched and gone; what was never there is not touched', () => {
  const store = new ObjectStore();
  store.setService(service());
  store.setSlice(slice([]));
  store.takeDirty();
  store.removeSlice('shop/web-1');
  assert.deepEqual(store.takeDirty(), ['shop/web']);
  assert.deepEqual(store.get('shop/web').slices, []);
  store.removeService('shop/web');
  assert.deepEqual(store.takeDirty(), ['shop/web']);
  assert.equal(store.get('shop/web').service, undefined);
  store.removeSlice('shop/web-1');
  store.removeService('shop/web');
  assert.deepEqual(store.takeDirty(), []);
});

test('slices outlive their Service', () => {
  const store = new ObjectStore();
  const kept = slice([]);
  store.setSlice(kept);
  store.setService(service());
  store.removeService('shop/web');
  assert.deepEqual(store.get('shop/web'), { service: undefined, slices: [kept] });
});

test('all Services, or those with a node port, can be touched', () => {
  const store = new ObjectStore();
  store.setService(service());
  store.setService(withNodePort);
  store.setSlice(slice([], { serviceName: 'nobody' }));
  store.takeDirty();
  store.markWithNodePorts();
  assert.deepEqual(store.takeDirty(), ['shop/np']);
  store.markAll();
  assert.deepEqual(store.takeDirty(), ['shop/web', 'shop/np']);
});

test('a Service that loses its node port, or goes, is no longer one with a node port', () => {
  const store = new ObjectStore();
  store.setService(withNodePort);
  store.setService({ ...withNodePort, ports: [port()] });
  store.setService({ ...withNodePort, name: 'gone' });
  store.removeService('shop/gone');
  store.takeDirty();
  store.markWithNodePorts();
  assert.deepEqual(store.takeDirty(), []);
});

test('a list that was handed out does not change', () => {
  const store = new ObjectStore();
  const first = slice([]);
  store.setSlice(first);
  const { slices } = store.get('shop/web');
  store.setSlice(slice([], { name: 'web-2' }));
  store.removeSlice('shop/web-1');
  assert.deepEqual(slices, [first]);
});

test('300 slices of one Service are all kept', () => {
  const store = new ObjectStore();
  for (let index = 0; index < 300; index++) store.setSlice(slice([], { name: `web-${index}` }));
  for (let index = 0; index < 300; index++) store.setSlice(slice([], { name: `web-${index}` }));
  assert.equal(store.get('shop/web').slices.length, 300);
  assert.deepEqual(store.takeDirty(), ['shop/web']);
});
