/** `switchyard get …` of an agent in ipvs mode: no drift where there is none, and each damage as it is. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { type ServiceOptions, service, slice } from '../netns/conformance/objects.ts';
import { type Place, place } from '../netns/conformance/place.ts';
import { type IpvsNode, openNodes } from './ipvs-node.ts';
import { families, until } from './ipvs-world.ts';

const places = families.map((family) => place(family, 1));

/** Services of every sort, of which the one called `none` has no endpoint. */
function sorts(at: Place): readonly ServiceOptions[] {
  const sources = at.family === 'IPv4' ? ['0.0.0.0/0', '192.0.2.0/24'] : ['2001:db8::/32'];
  return [
    { name: 'plain' },
    { name: 'none', affinitySeconds: 60 },
    { name: 'affine', affinitySeconds: 60 },
    { name: 'node-port', nodePort: 30_080 },
    { name: 'local', nodePort: 30_081, external: 'Local', externalIPs: [at.externalIP(1)] },
    { name: 'inner', internal: 'Local' },
    {
      name: 'balanced',
      nodePort: 30_082,
      external: 'Local',
      affinitySeconds: 60,
      loadBalancerIPs: [at.externalIP(2)],
      sourceRanges: sources,
    },
  ];
}

describe('switchyard get in ipvs mode', { skip: skipOutsideUml }, () => {
  let node: IpvsNode;
  // Hooks run in the order of their definition: the lab closes after this one.
  after(() => node[Symbol.asyncDispose]());
  const newNode = openNodes();

  before(async () => {
    node = newNode();
    for (const at of places) {
      const suffix = at.family.toLowerCase();
      const objects = sorts(at).flatMap((options, index) => {
        const name = `${options.name}-${suffix}`;
        return [
          service(at, { ...options, name, clusterIP: at.clusterIP(index) }),
          slice(at, options.name === 'none' ? [] : ['pod-a', 'pod-c'], { service: name }),
        ];
      });
      node.write(at.family, objects);
    }
    const proxy = await node.start();
    await proxy.told(/"Listening" for="status"/);
  });

  /** Lines of the table of drift. */
  const drift = async (): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await node.run('get', 'drift');
    assert.equal(stderr, '');
    const [first = '', ...lines] = stdout.trimEnd().split('\n');
    assert.equal(code, lines.length === 0 ? 0 : 1);
    if (lines.length === 0) assert.match(first, /holds all \d+ frontends .* \(ipvs mode\)/);
    return lines.map((line) => line.replaceAll(/ {2,}/g, ' '));
  };

  /** The drift that damage makes. The agent looks for damage: what it repaired too soon is done again. */
  const driftAfter = async (damage: string): Promise<readonly string[]> => {
    let lines: readonly string[] = [];
    await until('drift', async () => {
      node.shell(`${damage} || true`);
      lines = await drift();
      return lines.length > 0;
    });
    return lines;
  };

  test('what is programmed is as it is wanted, for Services of every sort', async () => {
    assert.deepEqual(await drift(), []);
    const programmed = await node.switchyard('get', 'programmed');
    for (const { name = '' } of places.flatMap(sorts)) assert.ok(programmed.includes(name), name);
  });

  test('an endpoint that somebody takes away shows, and nothing else', async () => {
    const frontend = `${places[0]?.clusterIP(0)}:80`;
    const real = node.shell(`ipvsadm -Ln -t ${frontend}`).match(/-> (\S+:8080)/)?.[1] ?? '';
    const both = `-t ${frontend} -r ${real}`;
    assert.deepEqual(await driftAfter(`ipvsadm -d ${both}`), [
      `shop/plain-ipv4:tcp ${frontend}/TCP lacks endpoint ${real}`,
    ]);
    node.shell(`ipvsadm -a ${both} -m || true`);
  });

  test('a virtual server that somebody takes away is one line', async () => {
    const frontend = `[${places[1]?.clusterIP(2)}]:80`;
    assert.deepEqual(await driftAfter(`ipvsadm -D -u ${frontend}`), [
      `shop/affine-ipv6:udp ${frontend}/UDP lacks all 2 endpoints`,
    ]);
  });
});
