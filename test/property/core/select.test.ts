import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { familyOf, hostPort } from '../../../src/core/ip.ts';
import type { EndpointSlice, Service, SliceEndpoint } from '../../../src/core/model.ts';
import type { Route, Target } from '../../../src/core/route.ts';
import { select } from '../../../src/core/select/select.ts';
import { arbitraryService, arbitrarySlice, initialView } from '../arbitraries.ts';

const RUNS = { numRuns: 1000 };

/** A Service with slices that are mostly its own. */
const situation = fc.tuple(
  arbitraryService,
  fc.array(arbitrarySlice, { minLength: 1, maxLength: 4 }),
);

const withEndpoints = (
  slice: EndpointSlice,
  endpoints: readonly SliceEndpoint[],
): EndpointSlice => ({ ...slice, endpoints });

test('the order of slices and of endpoints does not matter', () => {
  const shuffled = situation.chain(([service, slices]) =>
    fc.record({
      service: fc.constant(service),
      slices: fc.constant(slices),
      other: fc
        .tuple(
          ...slices.map((slice) =>
            fc
              .shuffledSubarray([...slice.endpoints], { minLength: slice.endpoints.length })
              .map((endpoints) => withEndpoints(slice, endpoints)),
          ),
        )
        .chain((list) => fc.shuffledSubarray(list, { minLength: list.length })),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ service, slices, other }) => {
      assert.deepEqual(select(service, other, initialView), select(service, slices, initialView));
    }),
    RUNS,
  );
});

test('what is selected is well formed', () => {
  fc.assert(
    fc.property(situation, ([service, slices]) => {
      for (const route of select(service, slices, initialView).routes) checkForm(route);
    }),
    RUNS,
  );
});

function checkForm(route: Route): void {
  const frontends = route.frontends.map(({ address, port }) => hostPort(address, port));
  assert.ok(frontends.length > 0);
  assert.equal(new Set(frontends).size, frontends.length, 'frontends are distinct');
  for (const { address } of route.frontends) assert.equal(familyOf(address), route.family);
  for (const target of [route.internal, route.external, route.externalFromInside]) {
    if (target?.kind !== 'endpoints') continue;
    const places = target.endpoints.map(({ address, port }) => hostPort(address, port));
    assert.ok(places.length > 0, 'a list of endpoints is not empty');
    assert.deepEqual(places, [...new Set(places)].toSorted(), 'endpoints are sorted and distinct');
    for (const { address } of target.endpoints) assert.equal(familyOf(address), route.family);
  }
  assert.deepEqual(route.serving, [...new Set(route.serving)].toSorted());
  assert.equal(route.externalFromInside === undefined, route.masqueradeExternal);
  assert.notEqual(route.externalFromInside?.kind, 'drop', 'from inside all endpoints are in reach');
  assert.notEqual(route.allowedSources?.length, 0);
  const isRefused = [route.internal, route.external].map(({ kind }) => kind === 'reject');
  assert.equal(isRefused[0], isRefused[1], 'traffic is refused in general or not at all');
}

test('endpoints are sorted into lists as the algorithm of kube-proxy does it, step by step', () => {
  fc.assert(
    fc.property(situation, ([wanted, slices]) => {
      // kube-proxy knows no weights.
      const service = { ...wanted, weights: undefined };
      const distinct = withoutDuplicates(slices).map(withoutWeights);
      for (const route of select(service, distinct, initialView).routes) {
        const expected = reference(service, route, joined(distinct, route));
        assert.deepEqual(shown(route.internal), expected.internal, 'cluster-IP traffic');
        if (expected.external === undefined) continue;
        assert.deepEqual(shown(route.external), expected.external, 'external traffic');
        assert.deepEqual(shown(route.externalFromInside), expected.inside, 'from inside');
      }
    }),
    RUNS,
  );
});

const withoutWeights = (slice: EndpointSlice): EndpointSlice => ({ ...slice, weights: undefined });

/** Which of several entries for one endpoint counts is left open there. */
function withoutDuplicates(slices: readonly EndpointSlice[]): readonly EndpointSlice[] {
  const seen = new Set<string>();
  return slices.map((slice) =>
    withEndpoints(
      slice,
      slice.endpoints.filter(({ address }) => {
        const isNew = !seen.has(address);
        seen.add(address);
        return isNew;
      }),
    ),
  );
}

type Expected = readonly string[] | 'reject' | 'drop' | undefined;
type Joined = ReadonlyMap<string, SliceEndpoint>;

function shown(target: Target | undefined): Expected {
  if (target?.kind !== 'endpoints') return target?.kind;
  return target.endpoints.map(({ address, port }) => hostPort(address, port));
}

function joined(slices: readonly EndpointSlice[], route: Route): Joined {
  const [, name] = /:(.*)\/[A-Z]+\/IPv[46]$/.exec(route.key) ?? [];
  const all = new Map<string, SliceEndpoint>();
  for (const slice of slices) {
    for (const port of slice.ports) {
      const isJoined = port.name === name && port.protocol === route.protocol;
      if (!isJoined || slice.family !== route.family) continue;
      for (const endpoint of slice.endpoints) {
        all.set(hostPort(endpoint.address, port.port), endpoint);
      }
    }
  }
  return all;
}

const isLocal = ({ nodeName }: SliceEndpoint): boolean => nodeName === 'here';
const isFallback = ({ serving, terminating }: SliceEndpoint): boolean => serving && terminating;
const namesNode = ({ forNodes }: SliceEndpoint): boolean => forNodes.includes('here');
const namesZone = ({ forZones }: SliceEndpoint): boolean => forZones.includes('a');

/** CategorizeEndpoints of kube-proxy 1.36 and the rules its modes derive from it, in their own order. */
function reference(
  service: Service,
  route: Route,
  all: Joined,
): { internal: Expected; external: Expected; inside: Expected } {
  const pick = (wanted: (endpoint: SliceEndpoint) => boolean): readonly string[] =>
    [...all].flatMap(([key, endpoint]) => (wanted(endpoint) ? [key] : [])).toSorted();
  const ofFamily = (addresses: Service['externalIPs']): boolean =>
    addresses.some((address) => familyOf(address) === route.family);
  const port = service.ports.find(({ name }) => route.key.includes(`:${name}/${route.protocol}/`));
  const isAccessible =
    port?.nodePort !== 0 || ofFamily(service.externalIPs) || ofFamily(service.loadBalancerIPs);
  const isInternalLocal = service.internalTrafficPolicy === 'Local';
  const isExternalLocal =
    service.externalTrafficPolicy === 'Local' &&
    (service.type === 'LoadBalancer' ||
      service.type === 'NodePort' ||
      (service.type === 'ClusterIP' && service.externalIPs.length > 0));
  const usesCluster = !isInternalLocal || isAccessible;
  const usesLocal = isInternalLocal || (isExternalLocal && isAccessible);

  let cluster: readonly string[] = [];
  let local: readonly string[] = [];
  let hasAny = false;
  if (usesCluster) {
    const mode = topology([...all.values()].filter(({ ready }) => ready));
    cluster = pick((endpoint) => endpoint.ready && mode(endpoint));
    if (cluster.length === 0) cluster = pick(isFallback);
    hasAny = cluster.length > 0;
  }
  if (usesLocal) {
    hasAny = pick((endpoint) => endpoint.ready || isFallback(endpoint)).length > 0;
    local = pick((endpoint) => isLocal(endpoint) && endpoint.ready);
    if (local.length === 0) local = pick((endpoint) => isLocal(endpoint) && isFallback(endpoint));
  }
  const target = (list: readonly string[]): Expected => {
    if (!hasAny) return 'reject';
    return list.length === 0 ? 'drop' : list;
  };
  return {
    internal: target(isInternalLocal ? local : cluster),
    external: isAccessible ? target(isExternalLocal ? local : cluster) : undefined,
    inside: isExternalLocal ? target(cluster) : undefined,
  };
}

function topology(ready: readonly SliceEndpoint[]): (endpoint: SliceEndpoint) => boolean {
  if (ready.every(({ forNodes }) => forNodes.length > 0) && ready.some(namesNode)) return namesNode;
  if (ready.every(({ forZones }) => forZones.length > 0) && ready.some(namesZone)) return namesZone;
  return () => true;
}
