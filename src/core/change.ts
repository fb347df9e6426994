/** Steps from one state of the objects to the next: what every source of objects tells. */
import type { EndpointSlice, NodeObject, Service, ServiceCidr } from './model.ts';

/** A decoded object and its kind. */
interface Item<Kind extends string, T> {
  readonly kind: Kind;
  readonly object: T;
}

/** A Service. */
export type ServiceItem = Item<'Service', Service>;
/** An EndpointSlice. */
export type EndpointSliceItem = Item<'EndpointSlice', EndpointSlice>;
/** A Node. */
export type NodeItem = Item<'Node', NodeObject>;
/** A ServiceCIDR. */
export type ServiceCidrItem = Item<'ServiceCIDR', ServiceCidr>;

/** An object of a kind that a Service proxy reads. */
export type ProxyItem = ServiceItem | EndpointSliceItem | NodeItem | ServiceCidrItem;

/** One step from one state of the objects to the next. */
export interface Change<I> {
  readonly type: 'set' | 'remove';
  /** The new state, or the last one there was. */
  readonly item: I;
}

/** A {@link Change} of whatever kind of object. */
export type ObjectChange = Change<ProxyItem>;
