import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chooseScheduler,
  defaultChoice,
  markScheduling,
  schedulersFor,
  scheduling,
} from '../../../../src/planes/ipvs/scheduling.ts';
import { endpoints, route } from '../../core/routes.ts';

const rr = defaultChoice('rr');
const all = (): boolean => true;

test('a Service gets the scheduler it asks for, with the flags that this one has', () => {
  const scheduler = { name: 'mh', flags: ['mh-fallback', 'mh-port'] };
  const { notice, ...choice } = chooseScheduler(route({ scheduler }), rr, all);
  assert.deepEqual(choice, { scheduler: 'mh', schedulerFlags: 3 });
  assert.equal(notice, undefined);
  const odd = { name: 'sh', flags: ['mh-port', 'sh-port'] };
  const chosen = chooseScheduler(route({ scheduler: odd }), rr, all);
  // Without the fallback, clients would be refused while an endpoint drains.
  assert.equal(chosen.schedulerFlags, 3);
  assert.match(chosen.notice?.text ?? '', /sh has no flag mh-port/);
});

test('a scheduler that the kernel lacks is replaced by the default, and said so', () => {
  const scheduler = { name: 'twos', flags: [] };
  const chosen = chooseScheduler(route({ scheduler }), rr, (name) => name !== 'twos');
  assert.equal(chosen.scheduler, 'rr');
  assert.match(
    chosen.notice?.text ?? '',
    /no IPVS scheduler twos \(module ip_vs_twos\); rr is used/,
  );
});

test('weights are not passed over by the default, but by a scheduler that was asked for', () => {
  const weighted = { internal: endpoints('10.0.0.1', '10.0.0.2=3') };
  assert.equal(chooseScheduler(route(weighted), rr, all).scheduler, 'wrr');
  assert.equal(chooseScheduler(route(weighted), defaultChoice('lc'), all).scheduler, 'wlc');
  assert.equal(chooseScheduler(route(weighted), defaultChoice('sh'), all).scheduler, 'sh');
  assert.equal(chooseScheduler(route(weighted), rr, () => false).scheduler, 'rr');
  const asked = route({ ...weighted, scheduler: { name: 'rr', flags: [] } });
  assert.equal(chooseScheduler(asked, rr, all).scheduler, 'rr');
  const even = route({ internal: endpoints('10.0.0.1=2', '10.0.0.2=2') });
  assert.equal(chooseScheduler(even, rr, all).scheduler, 'rr');
});

test('mh by default hashes ports as kube-proxy has it', () => {
  assert.deepEqual(defaultChoice('mh'), { scheduler: 'mh', schedulerFlags: 3 });
  assert.deepEqual(defaultChoice('sh'), { scheduler: 'sh', schedulerFlags: 1 });
  assert.deepEqual(defaultChoice('rr'), { scheduler: 'rr', schedulerFlags: 0 });
});

test('affinity is persistence, but a hash where a firewall mark leads', () => {
  assert.deepEqual(scheduling(rr, 'IPv6', 60).persistence, { seconds: 60, prefix: 128 });
  assert.equal(scheduling(rr, 'IPv4', undefined).persistence, undefined);
  const marked = markScheduling(rr, 'IPv4', 60, all);
  assert.equal(marked.scheduler, 'mh');
  assert.equal(marked.persistence, undefined);
  assert.equal(markScheduling(rr, 'IPv4', 60, () => false).scheduler, 'sh');
  assert.equal(markScheduling(rr, 'IPv4', undefined, all).scheduler, 'rr');
});

test('only schedulers that may be used are looked for', () => {
  assert.deepEqual(schedulersFor(route(), rr), []);
  const inside = endpoints('10.0.0.1', '10.0.0.2=2');
  const full = route({
    scheduler: { name: 'sed', flags: [] },
    internal: inside,
    externalFromInside: inside,
    affinitySeconds: 10,
  });
  assert.deepEqual(schedulersFor(full, rr), ['sed', 'wrr', 'mh']);
});
