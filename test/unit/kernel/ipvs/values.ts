/** Virtual and real servers for the tests of IPVS, fixed and by chance. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Address, parseAddress, unpackAddress } from '../../../../src/core/ip.ts';
import {
  type RealServer,
  type Scheduling,
  type VirtualName,
  familyOfVirtual,
} from '../../../../src/kernel/ipvs/servers.ts';
import { FORWARDING } from '../../../../src/kernel/ipvs/write.ts';

export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

export const roundRobin: Scheduling = {
  scheduler: 'rr',
  schedulerFlags: 0,
  onePacket: false,
  persistence: undefined,
  persistenceEngine: undefined,
};

export function real(text: string, port: number, more: Partial<RealServer> = {}): RealServer {
  return {
    address: address(text),
    port,
    forwarding: 'masquerade',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...more,
  };
}

/** As plain objects, which deepEqual takes for the same as those read. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const anyPort = fc.integer({ min: 0, max: 0xffff });
const anyNumber = fc.integer({ min: 0, max: 0xffff_ffff });
const anyAddress = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => unpackAddress(bytes, 0, 'IPv4')),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => unpackAddress(bytes, 0, 'IPv6')),
);
const anyName = fc.stringMatching(/^[a-z0-9_-]{1,15}$/);

const anyVirtual: fc.Arbitrary<VirtualName> = fc.oneof(
  record({
    protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
    address: anyAddress,
    port: anyPort,
  }),
  record({
    mark: fc.integer({ min: 1, max: 0xffff_ffff }),
    family: fc.constantFrom('IPv4', 'IPv6'),
  }),
);

/** A virtual server with a scheduling that fits it. */
export const anyServer: fc.Arbitrary<readonly [VirtualName, Scheduling]> = anyVirtual.chain(
  (name) =>
    fc.tuple(
      fc.constant(name),
      record({
        scheduler: anyName,
        schedulerFlags: fc.integer({ min: 0, max: 7 }),
        onePacket: fc.boolean(),
        persistence: fc.option(
          record({
            seconds: anyNumber,
            prefix: fc.integer({ min: 1, max: familyOfVirtual(name) === 'IPv4' ? 32 : 128 }),
          }),
          { nil: undefined },
        ),
        persistenceEngine: fc.option(anyName, { nil: undefined }),
      }),
    ),
);

export const anyReal: fc.Arbitrary<RealServer> = record({
  address: anyAddress,
  port: anyPort,
  forwarding: fc.constantFrom(...FORWARDING),
  weight: anyNumber,
  upperThreshold: anyNumber,
  lowerThreshold: anyNumber,
});
