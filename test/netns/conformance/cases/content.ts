/** What the plane holds: read back, listed by the tools of the system, and in shapes no object asks for yet. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Address, type Family, parseAddress } from '../../../../src/core/ip.ts';
import { route } from '../../../unit/core/routes.ts';
import { crowdAddress, crowdPort, nodeAddress, servers } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { assertShare } from '../expect.ts';
import { service, slice, sliceOf } from '../objects.ts';
import type { Place } from '../place.ts';
import type { World } from '../world.ts';

function addressOf(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

/**
 * nft before 1.0.9 reserves 16 bytes for the key of a dynamic map, whatever its type, and aborts when it reads
 * the rule that remembers IPv6 clients. It lists it well.
 */
function nftReadsAffinity(family: Family): boolean {
  if (family === 'IPv4') return true;
  const version = execFileSync('nft', ['--version'], { encoding: 'utf8' });
  const [, major, minor, patch] = /v(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch) >= 10_009;
}

const crowdPorts = [{ name: 'tcp', port: crowdPort }];

/** Entries of a slice for `count` addresses of the crowd from `first` on. */
function crowd(at: Place, first: number, count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({
    addresses: [crowdAddress(at.family, first + index)],
  }));
}

/** Asserts that new connections reach addresses of the crowd below `size`, and many of them. */
async function reachesCrowd(world: World, at: Place, size: number): Promise<void> {
  const options = { count: 300, parallel: 16 };
  const results = await world.probe('client', 'TCP', [at.clusterIP(), 80], options);
  const known = new Set(Array.from({ length: size }, (_, index) => crowdAddress(at.family, index)));
  const seen = new Set(results.map((result) => (result.ok ? result.local : result.error)));
  assert.deepEqual([...seen.difference(known)], []);
  // 300 balls into 300 boxes or more hit 190 of them on average, with a deviation below 8.
  assert.ok(seen.size > 120, `only ${seen.size} endpoints were used`);
}

export const content: readonly ConformanceCase[] = [
  {
    name: 'inspection tells what is programmed for every frontend',
    steps: (at) => [
      {
        set: [
          service(at, {
            nodePort: at.nodePort(),
            loadBalancerIPs: [at.loadBalancerIP()],
            sourceRanges: ['192.0.2.0/24', '2001:db8:2::/64'],
            external: 'Local',
            affinitySeconds: 600,
            ports: [{ name: 'http', port: 80 }],
          }),
          slice(at, ['pod-a', 'pod-c'], { ports: [{ name: 'http', port: 8080 }] }),
          service(at, {
            name: 'empty',
            clusterIP: at.clusterIP(1),
            ports: [{ port: 53, protocol: 'UDP' }],
          }),
        ],
        check: async (world) => {
          const programmed = await world.inspect();
          const text = (address: string, port: number): string =>
            at.family === 'IPv4' ? `${address}:${port}` : `[${address}]:${port}`;
          const on = (frontend: string) => {
            const found = programmed.filter((each) => each.frontend === frontend);
            assert.equal(found.length, 1, `${frontend} among ${JSON.stringify(programmed)}`);
            return found[0];
          };
          const pod = (name: 'pod-a' | 'pod-c'): string =>
            text(servers[name].address[at.family], 8080);
          assert.equal(programmed.length, 4);
          const cluster = on(text(at.clusterIP(), 80));
          assert.equal(cluster?.label, 'shop/web:http');
          assert.deepEqual(cluster.target.toString(), [pod('pod-a'), pod('pod-c')].toString());
          assert.equal(cluster.affinitySeconds, 600);
          assert.equal(cluster.allowedSources, undefined);
          assert.equal(cluster.insideTarget, undefined);
          const vip = on(text(at.loadBalancerIP(), 80));
          assert.deepEqual(vip?.target, [pod('pod-a')]);
          assert.equal(vip.insideTarget?.length, 2);
          assert.equal(vip.masquerade, false);
          assert.deepEqual(vip.allowedSources, [
            at.family === 'IPv4' ? '192.0.2.0/24' : '2001:db8:2::/64',
          ]);
          const nodePort = on(text(nodeAddress[at.family], at.nodePort()));
          assert.deepEqual(nodePort?.target, [pod('pod-a')]);
          assert.equal(nodePort.allowedSources, undefined);
          const empty = on(text(at.clusterIP(1), 53));
          assert.equal(empty?.label, 'shop/empty');
          assert.equal(empty.target, 'reject');
          assert.equal(empty.protocol.toUpperCase(), 'UDP');
        },
      },
    ],
  },
  {
    name: 'SCTP ports are programmed beside the others',
    steps: (at) => [
      {
        set: [
          service(at, {
            ports: [
              { name: 'sctp', port: 80, protocol: 'SCTP' },
              { name: 'tcp', port: 80 },
            ],
          }),
          slice(at, ['pod-a'], {
            ports: [
              { name: 'sctp', port: 9000, protocol: 'SCTP' },
              { name: 'tcp', port: 8080 },
            ],
          }),
        ],
        expect: [{ from: 'client', over: 'TCP', to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
        check: async (world) => {
          const sctp = (await world.inspect()).filter(
            ({ protocol }) => protocol.toUpperCase() === 'SCTP',
          );
          assert.equal(sctp.length, 1);
          assert.equal(sctp[0]?.label, 'shop/web:sctp');
          assert.match(sctp[0].target.toString(), /:9000$/);
        },
      },
    ],
  },
  {
    name: 'weights share out connections',
    steps: (at) => {
      const target = {
        kind: 'endpoints',
        endpoints: (['pod-a', 'pod-c'] as const).map((name, index) => ({
          address: addressOf(servers[name].address[at.family]),
          port: 8080,
          local: name === 'pod-a',
          weight: index === 0 ? 3 : 1,
        })),
      } as const;
      const weighted = route({
        key: `shop/weighted:tcp/TCP/${at.family}`,
        service: 'shop/weighted',
        label: 'shop/weighted:tcp',
        family: at.family,
        frontends: [{ kind: 'clusterIP', address: addressOf(at.clusterIP()), port: 80 }],
        internal: target,
        external: target,
      });
      return [
        {
          check: async (world) => {
            await world.routes('shop/weighted', [weighted]);
            const counts = await world.count('client', 'TCP', [at.clusterIP(), 80], {
              count: 600,
              parallel: 16,
            });
            assertShare(counts['pod-a'] ?? 0, 600, 3 / 4, 'weight 3');
            assertShare(counts['pod-c'] ?? 0, 600, 1 / 4, 'weight 1');
            await world.routes('shop/weighted', []);
          },
        },
      ];
    },
  },
  {
    name: 'a slice with a thousand endpoints',
    steps: (at) => [
      {
        set: [
          service(at, { ports: [{ name: 'tcp', port: 80 }] }),
          sliceOf(at, crowd(at, 0, 1000), { ports: crowdPorts }),
        ],
        check: async (world) => {
          const [frontend] = await world.inspect();
          assert.equal(frontend?.target.length, 1000);
          await reachesCrowd(world, at, 1000);
        },
      },
      {
        when: 'all but one go',
        set: [sliceOf(at, crowd(at, 999, 1), { ports: crowdPorts })],
        check: async (world) => {
          const results = await world.probe('client', 'TCP', [at.clusterIP(), 80], { count: 20 });
          const seen = new Set(results.map((result) => (result.ok ? result.local : result.error)));
          assert.deepEqual([...seen], [crowdAddress(at.family, 999)]);
        },
      },
    ],
  },
  {
    name: 'three hundred slices of one Service',
    steps: (at) => {
      const slices = Array.from({ length: 300 }, (_, index) =>
        sliceOf(at, crowd(at, index, 1), { name: `web-${index}`, ports: crowdPorts }),
      );
      return [
        {
          set: [service(at, { ports: [{ name: 'tcp', port: 80 }] }), ...slices],
          check: async (world) => {
            const [frontend] = await world.inspect();
            assert.equal(frontend?.target.length, 300);
            await reachesCrowd(world, at, 300);
          },
        },
        {
          when: 'most of them go',
          remove: slices.slice(0, 299),
          check: async (world) => {
            const results = await world.probe('client', 'TCP', [at.clusterIP(), 80], { count: 20 });
            const seen = new Set(
              results.map((result) => (result.ok ? result.local : result.error)),
            );
            assert.deepEqual([...seen], [crowdAddress(at.family, 299)]);
          },
        },
      ];
    },
  },
  {
    name: 'nft lists the rules readably, and takes back what it listed',
    usesTools: true,
    steps: (at) => [
      {
        set: [
          service(at, {
            nodePort: at.nodePort(),
            loadBalancerIPs: [at.loadBalancerIP()],
            sourceRanges: ['192.0.2.0/24', '2001:db8:2::/64'],
            external: 'Local',
            ...(nftReadsAffinity(at.family) && { affinitySeconds: 600 }),
            ports: [{ name: 'http', port: 80 }],
          }),
          slice(at, ['pod-a', 'pod-c'], { ports: [{ name: 'http', port: 8080 }] }),
          service(at, { name: 'plain', clusterIP: at.clusterIP(1) }),
          slice(at, ['pod-a', 'pod-c'], { service: 'plain', name: 'plain-1' }),
          service(at, { name: 'empty', clusterIP: at.clusterIP(2) }),
        ],
        check: async (world) => {
          const own = await world.count('client', 'TCP', [at.clusterIP(), 80], { count: 5 });
          const listed = world.shell('node', 'nft list ruleset');
          assert.match(listed, /comment "shop\/web:http"/);
          assert.match(listed, /comment "shop\/empty:tcp"/);
          world.shell(
            'node',
            'nft list ruleset > /tmp/$$.nft; trap "rm /tmp/$$.nft" EXIT; (echo flush ruleset; cat /tmp/$$.nft) | nft -f -',
          );
          const expires = / expires \S+/g;
          const again = world.shell('node', 'nft list ruleset');
          assert.equal(again.replaceAll(expires, ''), listed.replaceAll(expires, ''));
          if (nftReadsAffinity(at.family)) {
            assert.deepEqual(
              await world.count('client', 'TCP', [at.clusterIP(), 80], { count: 5 }),
              own,
              'a client that is remembered stays where it was',
            );
          }
          const works = async (): Promise<void> => {
            await world.expect([
              { from: ['client', 'node'], to: [at.clusterIP(1), 80], reaches: ['pod-a', 'pod-c'] },
              { from: 'client', to: [at.clusterIP(2), 80], fails: 'refused' },
              { from: 'client', to: [at.clusterIP(1), 81], fails: 'refused' },
              {
                from: 'client',
                over: 'TCP',
                to: [at.loadBalancerIP(), 80],
                reaches: ['pod-a'],
                seenAs: 'itself',
              },
              { from: 'pod-b', over: 'TCP', to: [at.loadBalancerIP(), 80], fails: 'timeout' },
            ]);
          };
          await works();
          // Whatever the plane makes of it, it must come out right.
          await world.verify();
          await works();
          await world.change({
            set: [slice(at, ['pod-c'], { service: 'plain', name: 'plain-1' })],
          });
          await world.expect([{ from: 'client', to: [at.clusterIP(1), 80], reaches: ['pod-c'] }]);
        },
      },
    ],
  },
];
