/** Ways to plant a fault into a clean node. */
import type { Fields } from '../../../../../src/core/decode/fields.ts';
import type { TextName } from '../../../../../src/tools/doctor/capture.ts';
import { LINKS, type NodeParts, service, slice } from '../clean-node.ts';

/** A fault: what is changed on a clean node, and which rules must tell. */
export interface Plant {
  /** The rule that must find it. */
  readonly rule: string;
  readonly change: (node: NodeParts) => NodeParts;
  /** What the finding must say. */
  readonly says: RegExp;
  /** Other rules that are right to tell of the same change. */
  readonly also?: readonly string[];
}

type Change = Plant['change'];

/** One after the other. */
export function all(...changes: readonly Change[]): Change {
  return (node) => changes.reduce((changed, change) => change(changed), node);
}

/** Replaces a text. */
export function text(name: TextName, value: string): Change {
  return (node) => ({ ...node, texts: { ...node.texts, [name]: value } });
}

/** Adds lines to a text. */
export function added(name: TextName, line: string): Change {
  return (node) => text(name, `${node.texts[name]}\n${line}`)(node);
}

/** Sets fields of the configuration. */
export function proxy(settings: Fields): Change {
  return (node) => ({ ...node, proxy: { ...node.proxy, ...settings } });
}

/** Mode of the configuration, and of the process; tables of nftables mode go. */
export function inMode(mode: string, settings: Fields = {}): Change {
  return all(
    proxy({ mode, ...settings }),
    text('proxy-mode', mode),
    ...(mode === 'nftables' ? [] : [text('nft-list', '')]),
  );
}

/** In ipvs mode, with these fields of `ipvs`. */
export function inIpvs(settings: Fields = {}): Change {
  return inMode('ipvs', { ipvs: settings });
}

/** Sets a value, or adds it. */
export function sysctl(name: string, value: string): Change {
  return (node) => {
    const rest = node.texts.sysctl.split('\n').filter((line) => !line.startsWith(`${name} =`));
    return text('sysctl', [...rest, `${name} = ${value}`].join('\n'))(node);
  };
}

/** Adds objects. */
export function objects(...more: readonly Fields[]): Change {
  return (node) => ({ ...node, objects: [...node.objects, ...more] });
}

/** Adds network interfaces. */
export function linksAdded(...more: readonly Fields[]): Change {
  return text('addresses', JSON.stringify([...LINKS, ...more]));
}

/** Adds a process. */
export function runs(line: string): Change {
  return added('processes', line);
}

/** A ConfigMap of kube-system. */
export function configMap(name: string, data: Fields): Fields {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'kube-system', name },
    data,
  };
}

/** A Service and its endpoints, on both nodes unless told otherwise. */
export function served(
  key: string,
  spec: Fields,
  more: Fields = {},
  endpoints: Readonly<Record<string, string | undefined>> = {
    '10.244.0.9': 'n1',
    '10.244.1.9': 'n2',
  },
): Change {
  return objects(service(key, { clusterIP: '10.96.0.77', ...spec }, more), slice(key, endpoints));
}

/** What every node in ipvs mode of kube-proxy has. */
export const DEPRECATED: readonly string[] = ['ipvs-deprecated'];
