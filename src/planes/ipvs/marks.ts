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
  readonly #byRoute = new Map<RouteKey, number>();
  /** Those in {@link #byRoute}. */
  readonly #used = new Set<number>();
  /** Those whose virtual server may be there, with or without a Route. */
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

  /** The mark of a Route: the one found in the kernel if it can be. `undefined` when none is left. */
  assign(route: RouteKey, found: number | undefined): number | undefined {
    const known = this.#byRoute.get(route);
    if (known !== undefined) return known;
    const isFree = found !== undefined && this.isOurs(found) && !this.#used.has(found);
    const mark = isFree && found !== this.spare ? found : this.#next();
    if (mark === undefined) return undefined;
    this.#byRoute.set(route, mark);
    this.#used.add(mark);
    this.#taken.add(mark);
    return mark;
  }

  /** The Route needs its mark no more; others can have it after {@link free}. */
  release(route: RouteKey): void {
    const mark = this.#byRoute.get(route);
    this.#byRoute.delete(route);
    if (mark !== undefined) this.#used.delete(mark);
  }

  /** The virtual server of a mark is gone. */
  free(mark: number): void {
    if (!this.#used.has(mark)) this.#taken.delete(mark);
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
