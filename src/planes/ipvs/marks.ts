/**
 * Firewall marks that lead packets to a virtual server of their own: one for each Route whose external frontends
 * have other endpoints for this node and its pods (KEP-1864).
 */
import type { RouteKey } from '../../core/route.ts';

/** `SW` in the upper half; the lower half counts. */
const BASE = 0x5357_0000;
const COUNTED = 0xffff;

/** Gives out marks. Number 0 is nobody's: it serves to try out schedulers. */
export class Marks {
  readonly #masqueradeBit: number;
  readonly #used = new Map<RouteKey, number>();
  readonly #taken = new Set<number>();
  #last = 0;

  /** @param masqueradeBit Value of a bit that no mark may have. */
  constructor(masqueradeBit: number) {
    this.#masqueradeBit = masqueradeBit;
  }

  /** What all marks have in common, and the bits that say so, as iptables writes it: `0x53570000/0xffff0000`. */
  get range(): string {
    const mask = (~COUNTED & ~this.#masqueradeBit) >>> 0;
    return `0x${this.spare.toString(16)}/0x${mask.toString(16)}`;
  }

  /** The mark that no Route gets. */
  get spare(): number {
    return (BASE & ~this.#masqueradeBit) >>> 0;
  }

  /** True for marks that are given out here. */
  isOurs(mark: number): boolean {
    const ignored = COUNTED | this.#masqueradeBit;
    return ((mark ^ this.spare) & ~ignored) === 0 && (mark & this.#masqueradeBit) === 0;
  }

  /** The mark of a Route; `undefined` when all 65,535 are in use. The one found in the kernel if it is free. */
  assign(route: RouteKey, found: number | undefined): number | undefined {
    const known = this.#used.get(route);
    if (known !== undefined) return known;
    const isFree = found !== undefined && this.isOurs(found) && !this.#taken.has(found);
    const mark = isFree && found !== this.spare ? found : this.#next();
    if (mark === undefined) return undefined;
    this.#used.set(route, mark);
    this.#taken.add(mark);
    return mark;
  }

  /** The Route needs its mark no more. It is free when {@link free} says so too. */
  release(route: RouteKey): void {
    this.#used.delete(route);
  }

  /** The virtual server of a mark is gone. */
  free(mark: number): void {
    if (![...this.#used.values()].includes(mark)) this.#taken.delete(mark);
  }

  /** A virtual server has this mark, whose Route may be gone. */
  take(mark: number): void {
    this.#taken.add(mark);
  }

  #next(): number | undefined {
    for (let tried = 0; tried < COUNTED; tried++) {
      this.#last = (this.#last % COUNTED) + 1;
      const mark = this.spare + this.#last;
      if (this.isOurs(mark) && !this.#taken.has(mark)) return mark;
    }
    return undefined;
  }
}
