/** What is known of the node at the moment, from whatever source. */
import type { ObjectChange } from '../core/change.ts';
import type { Address, Family } from '../core/ip.ts';
import type { NodeObject } from '../core/model.ts';
import { type NodeDescription, type NodeOptions, describeNode } from './node.ts';

/** Takes facts as they come. */
export class NodeTracker {
  readonly #options: NodeOptions;
  readonly #families: readonly Family[];
  readonly #interfaceAddresses: () => readonly Address[];
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

  /** Takes what concerns the node. Returns false when nothing did. */
  take(changes: readonly ObjectChange[]): boolean {
    let concerned = false;
    for (const { type, item } of changes) {
      if (item.kind !== 'Node' || item.object.name !== this.#options.nodeName) continue;
      concerned = true;
      this.#object = type === 'set' ? item.object : undefined;
      if (type === 'set' && item.object.addresses.length > 0) this.#lastGood = item.object;
    }
    return concerned;
  }

  /** The node as of now. */
  describe(): NodeDescription {
    return describeNode(this.#options, {
      object: this.#object,
      lastGood: this.#lastGood,
      interfaceAddresses: this.#interfaceAddresses(),
      families: this.#families,
    });
  }
}
