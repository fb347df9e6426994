/** The data planes of the suite: how to open each, what it cannot do, and how its kernel objects can be tampered with. */
import type { KernelIo } from '../../../src/kernel/io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import type { Family } from '../../../src/core/ip.ts';

/** Damage that somebody else does to the plane's kernel objects, for the drift cases. */
export interface Tampering {
  readonly name: string;
  /** Shell script, run on the node. */
  readonly script: (family: Family, clusterIP: string) => string;
}

export interface PlaneUnderTest {
  readonly name: string;
  readonly openPlane: (io: KernelIo) => DataPlane;
  /** Cases it cannot pass, by name, each with the reason why. */
  readonly skips: Readonly<Record<string, string>>;
  /** Shell script that prints everything the kernel holds where the plane works. */
  readonly dump: string;
  readonly tampering: readonly Tampering[];
}

const nftTable = (family: Family): string => (family === 'IPv4' ? 'ip' : 'ip6');

/** Every plane there is. */
export const planes: readonly PlaneUnderTest[] = [
  {
    name: 'nftables',
    openPlane: openNftablesPlane,
    skips: {},
    dump: 'nft list ruleset',
    tampering: [
      {
        name: 'the table is deleted',
        script: (family) => `nft delete table ${nftTable(family)} switchyard`,
      },
      {
        name: 'the whole ruleset is flushed',
        script: () => 'nft flush ruleset',
      },
      {
        name: 'a map element is deleted',
        script: (family, clusterIP) =>
          `nft delete element ${nftTable(family)} switchyard service-ips '{ ${clusterIP} . tcp . 80 }'`,
      },
      {
        name: 'a set is emptied',
        script: (family) => `nft flush set ${nftTable(family)} switchyard cluster-ips`,
      },
      {
        name: 'the rules of a chain are deleted',
        script: (family) => `nft flush chain ${nftTable(family)} switchyard services`,
      },
      {
        name: 'a rule is added in front',
        script: (family) => `nft insert rule ${nftTable(family)} switchyard services drop`,
      },
    ],
  },
];

/** The plane of that name. */
export function planeNamed(name: string): PlaneUnderTest {
  const plane = planes.find((each) => each.name === name);
  if (plane === undefined) throw new Error(`no data plane ${name}`);
  return plane;
}
