/**
 * The rules that count traffic, there only where traffic is to be counted. Unlike all others they see every
 * packet, in filter chains where each one comes by exactly once, after all translation: postrouting sees what
 * is sent on and what processes on this node send, input what they receive, but for what this node sent to
 * itself. Packets of connections that no Service translated meet one rule.
 */
import type { Family } from '../../core/ip.ts';
import {
  Loader,
  PROTOCOLS,
  isAnswer,
  isFirstPacket,
  isNotLooped,
  isProtocol,
  isTranslated,
  verdict,
} from './matches.ts';
import type { Chain, Rule } from './rules.ts';
import { CHAINS, SETS } from './schema.ts';

/** Behind NF_IP_PRI_NAT_SRC (100), linux/netfilter_ipv4.h: what masquerading drops is not counted. */
const PRIORITY = 150;

/** The chains that count. */
export function countChains(family: Family): readonly Chain[] {
  return [
    {
      name: CHAINS.countConnections,
      rules: countRules(family, SETS.countersConnections, 'connections'),
    },
    { name: CHAINS.countOut, rules: countRules(family, SETS.countersOut, 'from endpoints') },
    {
      name: CHAINS.count,
      rules: [
        {
          comment: 'from endpoints',
          expressions: [...isAnswer(), verdict('goto', CHAINS.countOut)],
        },
        {
          comment: 'the first packet of a connection',
          expressions: [...isFirstPacket(), verdict('jump', CHAINS.countConnections)],
        },
        ...countRules(family, SETS.countersIn, 'from clients'),
      ],
    },
    {
      name: CHAINS.countPostrouting,
      hook: { type: 'filter', hook: 'postrouting', priority: PRIORITY },
      rules: [
        {
          comment: 'packets of Services',
          expressions: [...isTranslated(), verdict('jump', CHAINS.count)],
        },
      ],
    },
    {
      name: CHAINS.countInput,
      hook: { type: 'filter', hook: 'input', priority: PRIORITY },
      rules: [
        {
          comment: 'packets of Services that others sent',
          expressions: [...isTranslated(), ...isNotLooped(), verdict('jump', CHAINS.count)],
        },
      ],
    },
  ];
}

function countRules(family: Family, map: string, what: string): readonly Rule[] {
  return PROTOCOLS.map(([name, protocol]) => ({
    comment: `${what}, ${name}`,
    expressions: [
      ...isProtocol(protocol),
      ...new Loader(family).ctFrontend().expressions,
      { kind: 'count', map, from: 0 },
    ],
  }));
}
