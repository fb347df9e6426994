/** What is known of the node at the moment, from whatever source. */
import type { ObjectChange } from '../core/change.ts';
import { type Address, type Cidr, type Family, formatCidr } from '../core/ip.ts';
import type { NodeObject } from '../core/model.ts';
import { type NodeDescription, type NodeOptions, describeNode } from './node.ts';

/** Takes facts as they come. */
export class NodeTracker {
  #options: NodeOptions;
  readonly #families: readonly Family[];
  readonly #interfaceAddresses: () => readonly Address[];
  readonly #serviceCidrs = new Map<string, readonly Cidr[]>();
  #object: NodeObject | undefined;
  #lastGood: NodeObject | undefined;

  /** `families` are those the kernel has. */
  constructor(
    options: NodeOptions,
    families: readonly Family[],
    interfaceAddresses: () => readonly Address[],
  ) {
    this.#options = options;
    this.#families = families;
    this.#interfaceAddresses = interfaceAddresses;
  }

  /** Takes other options, for the same node. */
  setOptions(options: NodeOptions): void {
    this.#options = options;
  }

  /** Takes what concerns the node. Returns false when nothing did. */
  take(changes: readonly ObjectChange[]): boolean {
    let concerned = false;
    for (const { type, item } of changes) {
      if (item.kind === 'ServiceCIDR') {
        concerned = true;
        if (type === 'set') this.#serviceCidrs.set(item.object.name, item.object.cidrs);
        else this.#serviceCidrs.delete(item.object.name);
      }
      if (item.kind !== 'Node' || item.object.name !== this.#options.nodeName) continue;
      concerned = true;
      this.#object = type === 'set' ? item.object : undefined;
      if (type === 'set' && item.object.addresses.length > 0) this.#lastGood = item.object;
    }
    return concerned;
  }

  #ranges(): readonly Cidr[] {
    const ranges = this.#serviceCidrs.values().flatMap((cidrs) => cidrs);
    const byText = new Map([...ranges].map((cidr) => [formatCidr(cidr), cidr]));
    return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, cidr]) => cidr);
  }

  /** The node as of now, with these options or those in force. */
  describe(options = this.#options): NodeDescription {
    return describeNode(options, {
      object: this.#object,
      lastGood: this.#lastGood,
      serviceCidrs: this.#ranges(),
      interfaceAddresses: this.#interfaceAddresses(),
      families: this.#families,
    });
  }
}
