/** The data planes of the suite: how to open each, what it cannot do, and how its kernel objects can be tampered with. */
import type { KernelIo } from '../../../src/kernel/io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import type { Family } from '../../../src/core/ip.ts';

/** A shell script to be run on the node. */
type Script = (family: Family, clusterIP: string) => string;

/** Damage that somebody else does to the plane's kernel objects, for the drift cases. */
interface Tampering {
  readonly name: string;
  readonly script: Script;
  /** The report of the damage names this cluster IP. */
  readonly namesClusterIP?: true;
}

export interface PlaneUnderTest {
  readonly name: string;
  readonly openPlane: (io: KernelIo) => DataPlane;
  /** Cases it cannot pass, by name, each with the reason why. */
  readonly skips: Readonly<Record<string, string>>;
  /** Commands that the scripts below call. */
  readonly tools: readonly string[];
  /** Prints everything the kernel holds where the plane works. */
  readonly dump: string;
  /** Objects of somebody else's in the same place, which nobody but the case may touch. */
  readonly foreign: { readonly add: Script; readonly list: Script; readonly remove: Script };
  readonly tampering: readonly Tampering[];
}

const nftTable = (family: Family): string => (family === 'IPv4' ? 'ip' : 'ip6');

/** Every plane there is. */
export const planes: readonly PlaneUnderTest[] = [
  {
    name: 'nftables',
    openPlane: openNftablesPlane,
    skips: {},
    tools: ['nft'],
    dump: 'nft list ruleset',
    foreign: {
      add: (family) => `nft -f - <<'END'
        table ${nftTable(family)} somebody-else {
          set theirs { type inet_service; elements = { 1, 2, 3 } }
          chain pre { type nat hook prerouting priority -90; tcp dport @theirs drop; }
          chain post { type filter hook postrouting priority 90; }
        }
        table inet switchyard {
          chain services { tcp dport 1 drop; }
        }
END`,
      list: (family) =>
        `nft -a list table ${nftTable(family)} somebody-else; nft -a list table inet switchyard`,
      remove: (family) =>
        `nft delete table ${nftTable(family)} somebody-else; nft delete table inet switchyard`,
    },
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
        namesClusterIP: true,
      },
      {
        name: 'an element is added that sends a port nowhere',
        script: (family, clusterIP) =>
          `nft add element ${nftTable(family)} switchyard service-ips '{ ${clusterIP} . tcp . 81 : 1:0 }'`,
        namesClusterIP: true,
      },
      {
        name: 'a set is emptied',
        script: (family) => `nft flush set ${nftTable(family)} switchyard cluster-ips`,
        namesClusterIP: true,
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
