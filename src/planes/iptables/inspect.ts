/** What the kernel holds, as people read it. */
import { type Address, hostPort, parseAddress } from '../../core/ip.ts';
import type { ProgrammedFrontend } from '../plane.ts';
import type { FoundTable } from './found.ts';
import { KIND_TEXT } from './plan.ts';
import { CHAINS, type Table } from './schema.ts';

interface FoundFrontend {
  readonly address: Address;
  readonly port: number;
  readonly protocol: string;
  readonly label: string;
  readonly isCluster: boolean;
  /** What the rule does: `-g CHAIN`, `-j DROP`. */
  readonly action: string;
}

type Verdict = ProgrammedFrontend['target'];

const KINDS = Object.values(KIND_TEXT).join('|');
const FRONTEND = new RegExp(
  `^-d (\\S+)/(?:32|128) -p (\\S+) -m comment --comment "(\\S+) (${KINDS})" -m \\S+ --dport (\\d+) (-[jg] \\S+)$`,
);

/** Every frontend, from the tables of a family. */
export function describeFrontends(
  found: ReadonlyMap<Table, FoundTable>,
): readonly ProgrammedFrontend[] {
  const nat = found.get('nat')?.chains ?? new Map<string, readonly string[]>();
  const filter = found.get('filter')?.chains ?? new Map<string, readonly string[]>();
  const served = frontendsIn(nat);
  const refused = frontendsIn(filter);
  const frontends: ProgrammedFrontend[] = [];
  for (const key of new Set([...served.keys(), ...refused.keys()])) {
    const inNat = served.get(key);
    const inFilter = refused.get(key);
    const either = inNat ?? inFilter;
    if (either === undefined) continue;
    const way = readWay(nat, filter, inNat, inFilter);
    frontends.push({
      frontend: hostPort(either.address, either.port),
      protocol: either.protocol,
      label: either.label,
      ...way,
    });
  }
  return frontends;
}

type Contents = ReadonlyMap<string, readonly string[]>;

function readWay(
  nat: Contents,
  filter: Contents,
  served: FoundFrontend | undefined,
  refused: FoundFrontend | undefined,
): Omit<ProgrammedFrontend, 'frontend' | 'protocol' | 'label'> {
  const refusal = refusalOf(filter, refused?.action);
  const first = served?.action.slice(3) ?? '';
  const isRestricted = first.startsWith('SWY-FW-');
  const ranges = isRestricted ? (nat.get(first) ?? []) : rangesOfRefusal(filter, refused?.action);
  const entry = isRestricted ? (targetOf(ranges[0]) ?? '') : first;
  const rules = nat.get(entry) ?? [];
  const inside = rules.map(targetOf).find((name) => name?.startsWith('SWY-INS-') === true);
  const endpoints = endpointsOf(nat, entry);
  return {
    target: endpoints.length > 0 ? endpoints : refusal,
    insideTarget: inside === undefined ? undefined : endpointsOf(nat, inside),
    affinitySeconds: affinityOf(nat, entry) ?? affinityOf(nat, inside ?? ''),
    masquerade:
      served?.isCluster === false &&
      rules.some((rule) => rule.startsWith('-m comment ') && rule.includes(' -j MARK ')),
    allowedSources:
      ranges.length === 0 ? undefined : ranges.flatMap((rule) => /^-s (\S+)/.exec(rule)?.[1] ?? []),
  };
}

function frontendsIn(chains: Contents): ReadonlyMap<string, FoundFrontend> {
  const found = new Map<string, FoundFrontend>();
  for (const rules of chains.values()) {
    for (const rule of rules) {
      const [, text = '', protocol = '', label = '', kind, port, action = ''] =
        FRONTEND.exec(rule) ?? [];
      const address = parseAddress(text);
      if (address === undefined) continue;
      found.set(`${text} ${protocol} ${port}`, {
        address,
        port: Number(port),
        protocol,
        label,
        isCluster: kind === KIND_TEXT.clusterIP,
        action,
      });
    }
  }
  return found;
}

/** Endpoints that a chain leads to, in its order; what is for this node and its pods only is left out. */
function endpointsOf(nat: Contents, chain: string): readonly string[] {
  const found = new Set<string>();
  for (const rule of nat.get(chain) ?? []) {
    const [, endpoint] = /--to-destination (\S+)$/.exec(rule) ?? [];
    if (endpoint !== undefined) found.add(endpoint);
    const next = targetOf(rule);
    if (next === undefined || next.startsWith('SWY-INS-')) continue;
    for (const each of endpointsOf(nat, next)) found.add(each);
  }
  return [...found];
}

function affinityOf(nat: Contents, chain: string): number | undefined {
  for (const rule of nat.get(chain) ?? []) {
    const [, seconds] = /--rcheck --seconds (\d+)/.exec(rule) ?? [];
    if (seconds !== undefined) return Number(seconds);
    const next = targetOf(rule);
    if (next?.startsWith('SWY-SVC-') === true) return affinityOf(nat, next);
  }
  return undefined;
}

function refusalOf(filter: Contents, action: string | undefined): Verdict {
  if (action === `-g ${CHAINS.reject}`) return 'reject';
  const rules = filter.get(action?.slice(3) ?? '') ?? [];
  return rules.some((rule) => rule.endsWith(` -g ${CHAINS.reject}`)) ? 'reject' : 'drop';
}

function rangesOfRefusal(filter: Contents, action: string | undefined): readonly string[] {
  return (filter.get(action?.slice(3) ?? '') ?? []).filter((rule) => rule.startsWith('-s '));
}

function targetOf(rule: string | undefined): string | undefined {
  return /-g (SWY-\S+)$/.exec(rule ?? '')?.[1];
}
