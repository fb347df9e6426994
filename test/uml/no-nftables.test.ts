/** The proxy on a kernel without nf_tables for IPv4 and IPv6. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shop } from '../lab/manifests.ts';
import { NodeUnderTest } from '../e2e/proxy/node-under-test.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';

test('the nftables mode refuses a kernel without nf_tables', { skip: skipOutsideUml }, () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const { status, stdout, stderr } = node.run([
    'proxy',
    '--proxy-mode=nftables',
    '--manifests',
    node.folder,
  ]);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^switchyard: SY_PLANE_UNUSABLE: The nftables mode cannot work here\. .*This kernel lacks the feature/,
  );
  assert.equal(stderr.trimEnd().split('\n').length, 1, 'one line and no stack');
});
