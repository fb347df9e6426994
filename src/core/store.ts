/** The Services and EndpointSlices that are wanted, and which Services an event touched. */
import { objectKey } from './model.ts';
import type { EndpointSlice, ObjectKey, Service } from './model.ts';

/** All that {@link ObjectStore} knows of one Service. */
export interface ServiceObjects {
  readonly service: Service | undefined;
  /** Its EndpointSlices, in no particular order. */
  readonly slices: readonly EndpointSlice[];
}

const NO_SLICES: readonly EndpointSlice[] = [];

/**
 * Holds the latest state of every object and remembers which Services have to be decided on again. Every
 * call costs the same however many Services there are, but for {@link markAll} and {@link markWithNodePorts},
 * which touch many.
 */
export class ObjectStore {
  readonly #services = new Map<ObjectKey, Service>();
  readonly #withNodePorts = new Set<ObjectKey>();
  /** By key of the slice. */
  readonly #slices = new Map<ObjectKey, EndpointSlice>();
  /** By key of the Service. Lists are replaced, never changed: a caller may hold one. */
  readonly #slicesOf = new Map<ObjectKey, readonly EndpointSlice[]>();
  #dirty = new Set<ObjectKey>();

  /** Numbers of objects, by what they are called. */
  get sizes(): { readonly Services: number; readonly EndpointSlices: number } {
    return { Services: this.#services.size, EndpointSlices: this.#slices.size };
  }

  /** Adds or replaces a Service. */
  setService(service: Service): void {
    const key = objectKey(service.namespace, service.name);
    this.#services.set(key, service);
    if (service.ports.some(({ nodePort }) => nodePort !== 0)) this.#withNodePorts.add(key);
    else this.#withNodePorts.delete(key);
    this.#dirty.add(key);
  }

  /** Removes a Service; its slices stay, for they may outlive it or come before it. */
  removeService(key: ObjectKey): void {
    if (!this.#services.delete(key)) return;
    this.#withNodePorts.delete(key);
    this.#dirty.add(key);
  }

  /** Adds or replaces a slice. One whose label now names another Service leaves the one it had. */
  setSlice(slice: EndpointSlice): void {
    const key = objectKey(slice.namespace, slice.name);
    const before = this.#slices.get(key);
    if (before !== undefined) this.#unlink(before);
    this.#slices.set(key, slice);
    const service = serviceOf(slice);
    this.#slicesOf.set(service, [...(this.#slicesOf.get(service) ?? NO_SLICES), slice]);
    this.#dirty.add(service);
  }

  /** Removes a slice. */
  removeSlice(key: ObjectKey): void {
    const slice = this.#slices.get(key);
    if (slice === undefined) return;
    this.#slices.delete(key);
    this.#unlink(slice);
  }

  /** What is known of a Service; nothing when there is none of that name. */
  get(key: ObjectKey): ServiceObjects {
    return { service: this.#services.get(key), slices: this.#slicesOf.get(key) ?? NO_SLICES };
  }

  /** All Services, in no particular order. */
  services(): IterableIterator<[ObjectKey, Service]> {
    return this.#services.entries();
  }

  /** All EndpointSlices, in no particular order. */
  slices(): IterableIterator<EndpointSlice> {
    return this.#slices.values();
  }

  /** The Services touched since the last call, removed ones included, each once, the first touched first. */
  takeDirty(): ObjectKey[] {
    const keys = [...this.#dirty];
    this.#dirty = new Set();
    return keys;
  }

  /** Touches every Service: the node's name or zone changed. */
  markAll(): void {
    for (const key of this.#services.keys()) this.#dirty.add(key);
  }

  /** Touches the Services that have a node port: the addresses that serve node ports changed. */
  markWithNodePorts(): void {
    for (const key of this.#withNodePorts) this.#dirty.add(key);
  }

  #unlink(slice: EndpointSlice): void {
    const service = serviceOf(slice);
    const rest = this.#slicesOf.get(service)?.filter((other) => other !== slice) ?? NO_SLICES;
    if (rest.length === 0) this.#slicesOf.delete(service);
    else this.#slicesOf.set(service, rest);
    this.#dirty.add(service);
  }
}

function serviceOf(slice: EndpointSlice): ObjectKey {
  return objectKey(slice.namespace, slice.serviceName);
}
