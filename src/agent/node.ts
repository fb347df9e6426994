/** What the agent knows of its node, put into the form that decisions and data planes need. */
import { type Address, type Family, familyOf, isLinkLocal, isLoopback } from '../core/ip.ts';
import type { NodeObject } from '../core/model.ts';
import type { LocalTraffic, NodeView, PlaneSettings } from '../core/node.ts';
import { primaryAddresses, resolveNodePortAddresses } from '../core/node-addresses.ts';
import type { AgentConfig, DetectLocal } from './config.ts';

/** What was found out about the node. */
export interface NodeFacts {
  /** The Node object, if there is one. */
  readonly object: NodeObject | undefined;
  /** What the interfaces hold now, loopback included. */
  readonly interfaceAddresses: readonly Address[];
  /** Families the kernel has. */
  readonly families: readonly Family[];
}

/** The node as decisions and data planes see it. */
export interface NodeDescription {
  readonly view: NodeView;
  readonly settings: PlaneSettings;
  /** What an operator should know, one sentence each. */
  readonly problems: readonly string[];
}

/** Puts options and facts together. Without a Node object the interfaces say which addresses the node has. */
export function describeNode(config: AgentConfig, facts: NodeFacts): NodeDescription {
  const { object, interfaceAddresses } = facts;
  const families = config.families ?? facts.families;
  const known = object ?? standIn(config.nodeName, interfaceAddresses);
  const primary = primaryAddresses(known);
  const nodePortAddresses = resolveNodePortAddresses(
    config.nodePortAddresses,
    primary,
    interfaceAddresses,
  );
  const problems: string[] = [];
  for (const family of families) {
    const address = primary.find((candidate) => familyOf(candidate) === family);
    if (address === undefined || config.nodePortAddresses !== 'primary') continue;
    if (!nodePortAddresses.includes(address))
      problems.push(
        `No interface has ${address}, the ${family} address of the Node: node ports are not served in ${family}`,
      );
  }
  const podCIDRs = object?.podCIDRs ?? [];
  if (config.detectLocal.mode === 'NodeCIDR' && podCIDRs.length === 0)
    problems.push(`The Node ${config.nodeName} has no podCIDRs: no traffic counts as local`);
  return {
    view: {
      name: config.nodeName,
      zone: object?.zone,
      primaryAddresses: primary,
      nodePortAddresses,
    },
    settings: {
      families,
      masqueradeAll: config.masqueradeAll,
      localTraffic: localTraffic(config.detectLocal, families, podCIDRs),
    },
    problems,
  };
}

/** A Node whose addresses are those that others can reach it by. */
function standIn(name: string, interfaceAddresses: readonly Address[]): NodeObject {
  const addresses = interfaceAddresses.filter(
    (address) => !isLoopback(address) && !isLinkLocal(address),
  );
  return { name, zone: undefined, addresses, podCIDRs: [] };
}

function localTraffic(
  detect: DetectLocal,
  families: readonly Family[],
  podCIDRs: NodeObject['podCIDRs'],
): PlaneSettings['localTraffic'] {
  const found: { [F in Family]?: LocalTraffic } = {};
  for (const family of families) {
    if (detect.mode === 'BridgeInterface') {
      found[family] = { kind: 'interface', name: detect.name };
    } else if (detect.mode === 'InterfaceNamePrefix') {
      found[family] = { kind: 'interfacePrefix', prefix: detect.prefix };
    } else {
      const cidrs = detect.mode === 'NodeCIDR' ? podCIDRs : detect.cidrs;
      const cidr = cidrs.find((candidate) => candidate.family === family);
      if (cidr !== undefined) found[family] = { kind: 'cidr', cidr };
    }
  }
  return found;
}
