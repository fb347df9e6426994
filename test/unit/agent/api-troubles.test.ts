import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiTroubles } from '../../../src/agent/api-troubles.ts';

test('what is wrong with the server is news once, and over with the last collection', () => {
  const troubles = new ApiTroubles();
  assert.equal(troubles.begins('Services', 'SY_KUBE_DROPPED'), true);
  assert.equal(troubles.begins('EndpointSlices', 'SY_KUBE_DROPPED'), false);
  assert.equal(troubles.begins('EndpointSlices', 'SY_KUBE_UNREACHABLE'), true);
  assert.equal(troubles.begins('Services', 'SY_KUBE_UNREACHABLE'), false);
  assert.deepEqual(troubles.ends('Services'), { ofServer: false, ofCollection: false });
  assert.deepEqual(troubles.ends('EndpointSlices'), { ofServer: true, ofCollection: false });
  assert.equal(troubles.begins('Services', 'SY_KUBE_DROPPED'), true);
});

test('what is wrong with a collection is news for each', () => {
  const troubles = new ApiTroubles();
  assert.equal(troubles.begins('Services', 'SY_KUBE_FORBIDDEN'), true);
  assert.equal(troubles.begins('EndpointSlices', 'SY_KUBE_FORBIDDEN'), true);
  assert.deepEqual(troubles.ends('Services'), { ofServer: false, ofCollection: true });
  assert.deepEqual(troubles.ends('EndpointSlices'), { ofServer: false, ofCollection: true });
});

test('a collection that stays in trouble of its own does not hide that the server is back', () => {
  const troubles = new ApiTroubles();
  troubles.begins('ServiceCIDRs', 'SY_KUBE_FORBIDDEN');
  troubles.begins('Services', 'SY_KUBE_UNREACHABLE');
  assert.deepEqual(troubles.ends('Services'), { ofServer: true, ofCollection: false });
  assert.deepEqual(troubles.ends('Nodes'), { ofServer: false, ofCollection: false });
});
