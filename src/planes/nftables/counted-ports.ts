/**
 * Which Service ports have their traffic counted: as many as there are places for. Who has a place keeps it
 * until the last Route goes; the others wait in the order in which they came.
 */
import type { Route, RouteChange, RouteKey } from '../../core/route.ts';
import { type PortName, counterNames, portName } from './counters.ts';
import { type CounterNames, NOT_COUNTED } from './plan.ts';

/** Gives out the places, to both families of a Service port together. */
export class CountedPorts {
  readonly #places: number;
  readonly #counted = new Map<PortName, Set<RouteKey>>();
  readonly #waiting = new Map<PortName, readonly Route[]>();

  constructor(places: number) {
    this.#places = places;
  }

  /**
   * Starts over with these Routes.
   * @param before Ports that were counted by an earlier run: they have the first claim.
   */
  choose(routes: readonly Route[], before: ReadonlySet<PortName>): void {
    this.#counted.clear();
    this.#waiting.clear();
    if (this.#places === 0) return;
    for (const route of routes) {
      const port = portName(route);
      if (before.has(port) && this.#counted.size < this.#places) this.#counted.set(port, new Set());
    }
    for (const route of routes) this.#join(route);
    this.#fillPlaces();
  }

  /** Follows changes. Returns them and, as changes of themselves, the Routes that got a place of others. */
  follow(changes: readonly RouteChange[]): readonly RouteChange[] {
    if (this.#places === 0) return changes;
    // Who comes first: a port that loses one family and gets the other was there all the time.
    for (const { after } of changes) if (after !== undefined) this.#join(after);
    for (const { before, after } of changes) {
      if (before !== undefined && after === undefined) this.#leave(before);
    }
    const placed = this.#fillPlaces();
    return [
      ...changes,
      ...placed.map((route) => ({ key: route.key, before: route, after: route })),
    ];
  }

  /** Counters of a Route. */
  countersOf(route: Route): CounterNames {
    if (this.#counted.size === 0) return NOT_COUNTED;
    const port = portName(route);
    return this.#counted.has(port) ? counterNames(port) : NOT_COUNTED;
  }

  #join(route: Route): void {
    const port = portName(route);
    const counted = this.#counted.get(port);
    if (counted !== undefined) {
      counted.add(route.key);
      return;
    }
    this.#waiting.set(port, [...this.#waitingBut(port, route), route]);
  }

  #leave(route: Route): void {
    const port = portName(route);
    const counted = this.#counted.get(port);
    if (counted !== undefined) {
      counted.delete(route.key);
      if (counted.size === 0) this.#counted.delete(port);
      return;
    }
    const others = this.#waitingBut(port, route);
    if (others.length === 0) this.#waiting.delete(port);
    else this.#waiting.set(port, others);
  }

  #waitingBut(port: PortName, route: Route): readonly Route[] {
    return (this.#waiting.get(port) ?? []).filter(({ key }) => key !== route.key);
  }

  #fillPlaces(): readonly Route[] {
    const placed: Route[] = [];
    for (const [port, routes] of this.#waiting) {
      if (this.#counted.size >= this.#places) break;
      this.#waiting.delete(port);
      this.#counted.set(port, new Set(routes.map(({ key }) => key)));
      placed.push(...routes);
    }
    return placed;
  }
}
