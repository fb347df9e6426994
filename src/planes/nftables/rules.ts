/**
 * The rules of a family's table. They are few and do not depend on Services: all that does is in maps and
 * sets. Every base chain here is of type nat, so only the first packet of a connection meets any rule; packets
 * of established connections meet none unless traffic is counted (count-rules.ts).
 *
 * The packet priority (`meta priority`) carries the number of slots from the service map to the pick map:
 * nf_tables can chain two lookups only through packet metadata, and unlike the mark nobody routes or
 * filters by the priority of a first packet. It is used up within one rule and set back to none.
 */
import type { Family } from '../../core/ip.ts';
import type { LocalTraffic, PlaneSettings } from '../../core/node.ts';
import type { NftBatch } from '../../kernel/nftables/batch.ts';
import type { Expression } from '../../kernel/nftables/expressions.ts';
import {
  CHAINS,
  DROP,
  REFUSE,
  SETS,
  TABLE,
  type PickKind,
  pickChain,
  stickySet,
} from './schema.ts';
import {
  Loader,
  PROTOCOLS,
  dnat,
  fromThisNode,
  isProtocol,
  isTranslated,
  matchCidr,
  matchLocal,
  number,
  verdict,
} from './matches.ts';

/** NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h. */
const PRIORITY_DSTNAT = -100;
const PRIORITY_SRCNAT = 100;

/** A rule of ours. */
export interface Rule {
  /** Shown by `nft list`; together with the table's comment it also tells an earlier run's rules from ours. */
  readonly comment: string;
  readonly expressions: readonly Expression[];
}

/** A chain of ours with its rules; with a hook it is a base chain. */
export interface Chain {
  readonly name: string;
  readonly hook?: {
    readonly type: 'nat' | 'filter';
    readonly hook: 'prerouting' | 'input' | 'output' | 'postrouting';
    readonly priority: number;
  };
  readonly rules: readonly Rule[];
}

const DROP_IT: Expression = { kind: 'verdict', verdict: { code: 'drop' } };
const MASQUERADE: Expression = { kind: 'masquerade', fullyRandom: true };

const jumpTo = (chain: string, comment: string): Rule => ({
  comment,
  expressions: [verdict('jump', chain)],
});

const ifTranslated = (chain: string, comment: string): Rule => ({
  comment,
  expressions: [...isTranslated(), verdict('jump', chain)],
});

type Hook = NonNullable<Chain['hook']>['hook'];

const base = (name: string, hook: Hook, rules: readonly Rule[]): Chain => ({
  name,
  hook: {
    type: 'nat',
    hook,
    priority: hook === 'prerouting' || hook === 'output' ? PRIORITY_DSTNAT : PRIORITY_SRCNAT,
  },
  rules,
});

/**
 * All chains but the pick chains and those that count. `sticky` lists the affinity timeouts in use; `mark`
 * becomes part of a comment and tells these rules from those of other versions and settings.
 */
export function staticChains(
  family: Family,
  settings: PlaneSettings,
  sticky: readonly number[],
  mark: string,
): readonly Chain[] {
  return [
    { name: CHAINS.refuse, rules: refuseRules() },
    { name: CHAINS.insideService, rules: insideServiceRules(family) },
    { name: CHAINS.inside, rules: insideRules(settings.localTraffic[family]) },
    { name: CHAINS.services, rules: servicesRules(family, settings) },
    { name: CHAINS.remember, rules: rememberRules(family, sticky) },
    { name: CHAINS.masquerading, rules: masqueradingRules(family, settings) },
    base(CHAINS.prerouting, 'prerouting', [
      jumpTo(CHAINS.services, `new connections from elsewhere; ${mark}`),
    ]),
    base(CHAINS.output, 'output', [jumpTo(CHAINS.services, 'new connections from this node')]),
    base(CHAINS.input, 'input', [
      ifTranslated(CHAINS.remember, 'connections to endpoints on this node itself'),
    ]),
    base(CHAINS.postrouting, 'postrouting', [
      ifTranslated(CHAINS.remember, 'connections to endpoints'),
      ifTranslated(CHAINS.masquerading, 'connections to endpoints'),
    ]),
  ];
}

/** The way of the first packet of every connection. */
function servicesRules(family: Family, { serviceCidrs }: PlaneSettings): readonly Rule[] {
  return [
    {
      comment: 'source ranges',
      expressions: [
        ...new Loader(family).frontend().expressions,
        { kind: 'lookup', set: SETS.restrictedIps, from: 0 },
        ...new Loader(family).frontend().address('saddr').expressions,
        { kind: 'lookup', set: SETS.allowedSources, from: 0, invert: true },
        DROP_IT,
      ],
    },
    {
      comment: 'traffic policy Local: from here every endpoint may be used',
      expressions: [
        ...new Loader(family).frontend().expressions,
        { kind: 'lookup', set: SETS.localIps, from: 0 },
        verdict('jump', CHAINS.inside),
      ],
    },
    affinityRule(family),
    pickRule(family, 'outside'),
    {
      comment: 'a cluster IP, but no port of its Service',
      expressions: [
        ...new Loader(family).address('daddr').expressions,
        { kind: 'lookup', set: SETS.clusterIps, from: 0 },
        verdict('goto', CHAINS.refuse),
      ],
    },
    // Sent on, such a packet could come back by the default route.
    ...serviceCidrs
      .filter((cidr) => cidr.family === family)
      .map((cidr) => ({
        comment: 'an address for Services that no Service has',
        expressions: [...matchCidr('daddr', cidr, 'eq'), DROP_IT],
      })),
  ];
}

function insideRules(local: LocalTraffic | undefined): readonly Rule[] {
  const goto = verdict('goto', CHAINS.insideService);
  const rules: Rule[] = [];
  if (local !== undefined) {
    rules.push({
      comment: 'from a pod of this node',
      expressions: [...matchLocal(local, 'eq'), goto],
    });
  }
  rules.push({ comment: 'from this node', expressions: [...fromThisNode(), goto] });
  return rules;
}

function insideServiceRules(family: Family): readonly Rule[] {
  return [
    affinityRule(family),
    pickRule(family, 'inside'),
    { comment: 'never the choice meant for others', expressions: [DROP_IT] },
  ];
}

/** From the frontend to its number of endpoints, and on to the chain for that number. */
function pickRule(family: Family, kind: PickKind): Rule {
  return {
    comment: 'a frontend of a Service, by its number of endpoints',
    expressions: [
      ...new Loader(family).frontend().expressions,
      {
        kind: 'lookup',
        set: kind === 'outside' ? SETS.serviceIps : SETS.insideIps,
        from: 0,
        to: 0,
      },
      { kind: 'metaSet', key: 'priority', from: 0 },
      { kind: 'meta', key: 'priority', to: 0 },
      { kind: 'lookup', set: pickMap(kind), from: 0, to: 'verdict' },
    ],
  };
}

/** Session affinity, first half: a client that was here before goes where it went. */
function affinityRule(family: Family): Rule {
  return {
    comment: 'session affinity: where this client went before',
    expressions: [
      ...new Loader(family).address('saddr').frontend().expressions,
      { kind: 'lookup', set: SETS.affinity, from: 0, to: 0 },
      dnat(family),
    ],
  };
}

/**
 * Session affinity, second half: after the choice, when conntrack knows both ends, remember it. `update`
 * keeps the endpoint of a client that is known and starts its time again. Only endpoints that may be chosen
 * now are remembered: a packet on its way while an endpoint goes must not bring back what was forgotten.
 */
function rememberRules(family: Family, sticky: readonly number[]): readonly Rule[] {
  return sticky.flatMap((seconds) =>
    PROTOCOLS.map(([name, protocol]): Rule => {
      const key = new Loader(family).ctAddress('src', 'original').ctFrontend();
      const data = new Loader(family, key.next).ctAddress('src', 'reply').ctPort('src', 'reply');
      return {
        comment: `session affinity of ${seconds} s, ${name}`,
        expressions: [
          ...isProtocol(protocol),
          ...new Loader(family).ctFrontend().ctAddress('src', 'reply').ctPort('src', 'reply')
            .expressions,
          { kind: 'lookup', set: stickySet(seconds), from: 0 },
          ...key.expressions,
          ...data.expressions,
          {
            kind: 'update',
            set: SETS.affinity,
            key: 0,
            data: key.next,
            timeoutMs: seconds * 1000,
          },
        ],
      };
    }),
  );
}

function masqueradingRules(family: Family, settings: PlaneSettings): readonly Rule[] {
  const local = settings.localTraffic[family];
  const toClusterIp: readonly Expression[] = [
    ...new Loader(family).ctAddress('dst', 'original').expressions,
    { kind: 'lookup', set: SETS.clusterIps, from: 0 },
    MASQUERADE,
  ];
  const rules: Rule[] = [
    {
      comment: 'an endpoint that is its own client',
      expressions: [
        ...new Loader(family).address('saddr').address('daddr').expressions,
        { kind: 'lookup', set: SETS.hairpin, from: 0 },
        MASQUERADE,
      ],
    },
    // Where ipvs mode (ours or kube-proxy's) still has the address on kube-ipvs0, a process here has it for its source.
    {
      comment: 'a cluster IP as its own client',
      expressions: [
        ...new Loader(family).address('saddr').expressions,
        { kind: 'lookup', set: SETS.clusterIps, from: 0 },
        MASQUERADE,
      ],
    },
  ];
  if (settings.masqueradeAll) {
    rules.push({ comment: 'cluster IPs: everybody', expressions: toClusterIp });
  } else if (local !== undefined) {
    rules.push({
      comment: 'cluster IPs: all but pods of this node',
      expressions: [...matchLocal(local, 'neq'), ...toClusterIp],
    });
  }
  for (const [name, protocol] of PROTOCOLS) {
    const frontend = [...isProtocol(protocol), ...new Loader(family).ctFrontend().expressions];
    rules.push(
      {
        comment: `traffic policy Cluster, ${name}`,
        expressions: [
          ...frontend,
          { kind: 'lookup', set: SETS.masqueradeIps, from: 0 },
          MASQUERADE,
        ],
      },
      {
        comment: `traffic policy Local, from this node, ${name}`,
        expressions: [
          ...frontend,
          { kind: 'lookup', set: SETS.localIps, from: 0 },
          ...fromThisNode(),
          MASQUERADE,
        ],
      },
    );
  }
  return rules;
}

function refuseRules(): readonly Rule[] {
  return [
    {
      comment: 'a reset gets through where ICMP errors are limited or filtered',
      expressions: [...isProtocol(6), { kind: 'reject', with: 'tcp-reset' }],
    },
    { comment: 'everything else', expressions: [{ kind: 'reject', with: 'port-unreachable' }] },
  ];
}

/** The chain that picks one of `slots` endpoints. */
export function pickRules(family: Family, kind: PickKind, slots: number): readonly Rule[] {
  const map = kind === 'outside' ? SETS.endpoints : SETS.insideEndpoints;
  return [
    {
      comment: `one of ${slots}`,
      expressions: [
        { kind: 'immediate', to: 0, value: number(0) },
        { kind: 'metaSet', key: 'priority', from: 0 },
        ...new Loader(family).frontend().slot(slots).expressions,
        { kind: 'lookup', set: map, from: 0, to: 0 },
        dnat(family),
      ],
    },
    { comment: 'an empty slot never lets a packet pass as it is', expressions: [DROP_IT] },
  ];
}

/** The pick map that leads to the chains of this kind. */
function pickMap(kind: PickKind): string {
  return kind === 'outside' ? SETS.pick : SETS.pickInside;
}

/** Adds a chain and its rules. The chain must be new or empty. */
export function addChain(batch: NftBatch, family: Family, chain: Chain): void {
  const { name, hook, rules } = chain;
  batch.addChain(family, TABLE, hook === undefined ? { name } : { name, hook });
  addRules(batch, family, name, rules);
}

/** Adds rules to the end of a chain. */
export function addRules(
  batch: NftBatch,
  family: Family,
  chain: string,
  rules: readonly Rule[],
): void {
  for (const { expressions, comment } of rules) {
    batch.addRule(family, TABLE, chain, expressions, comment);
  }
}

/** Adds a pick chain and the way to it. */
export function addPickChain(batch: NftBatch, family: Family, kind: PickKind, slots: number): void {
  const name = pickChain(kind, slots);
  addChain(batch, family, { name, rules: pickRules(family, kind, slots) });
  batch.addElement(family, TABLE, pickMap(kind), number(slots), {
    verdict: { code: 'goto', chain: name },
  });
}

/** Deletes a pick chain and the way to it. */
export function deletePickChain(
  batch: NftBatch,
  family: Family,
  kind: PickKind,
  slots: number,
): void {
  const name = pickChain(kind, slots);
  batch.deleteElement(family, TABLE, pickMap(kind), number(slots));
  batch.flushChain(family, TABLE, name);
  batch.deleteChain(family, TABLE, name);
}

/** The two fixed ways out of the pick maps. */
export function addFixedPicks(batch: NftBatch, family: Family): void {
  for (const map of [SETS.pick, SETS.pickInside]) {
    batch.addElement(family, TABLE, map, number(REFUSE), {
      verdict: { code: 'goto', chain: CHAINS.refuse },
    });
    batch.addElement(family, TABLE, map, number(DROP), { verdict: { code: 'drop' } });
  }
}
