/** Objects from the Kubernetes API. */
import type { Change, NodeItem, ProxyItem } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import type { KubeError } from '../kube/errors.ts';
import type { ObjectProblem } from '../kube/object-table.ts';
import { Reflector } from '../kube/reflector.ts';
import {
  ENDPOINT_SLICES,
  type Resource,
  SERVICES,
  SERVICE_CIDRS,
  nodeNamed,
} from '../kube/resources.ts';
import type { ApiClient } from '../kube/transport.ts';
import type { WireFormat } from '../kube/wire/wire.ts';
import type { ObjectSource, TakeChanges } from './source.ts';

/** Told how the API is doing. `resource` is what a message calls it: `Services`. */
export interface ApiEvents {
  /** All objects of a resource were told for the first time. */
  readonly onSynced: (resource: string) => void;
  readonly onProblem: (problem: ObjectProblem) => void;
  /** A list or watch failed and is tried again after `retryMs`. Told once until it works again. */
  readonly onTrouble: (resource: string, error: KubeError, retryMs: number) => void;
  readonly onRecovered: (resource: string) => void;
  /** Everything else is there, and no Node with an address; it is waited for so long. */
  readonly onNodeAwaited: (waitMs: number) => void;
  /** There is no Node with an address after all this time; the proxy begins without. */
  readonly onNodeMissing: (waitedMs: number) => void;
}

/** What to follow, and how. */
export interface ApiSourceOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly format: WireFormat;
  /** Get the first objects through the watch (KEP-3157). */
  readonly watchList: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: ApiEvents;
}

/** Time the Node has to appear with an address (kube-proxy waits as long), in milliseconds. */
const NODE_MS = 30_000;

/** Follows Services, EndpointSlices, ServiceCIDRs and the Node. Begins at once. */
export function openApi(options: ApiSourceOptions, take: TakeChanges): ObjectSource {
  const { nodeName, clock, events } = options;
  const closed = Promise.withResolvers<void>();
  const hasAddress = Promise.withResolvers<void>();
  let isThere = false;
  const node = follow(options, nodeNamed(nodeName), (changes, at) => {
    take(changes, at);
    if (!changes.some(isUsable)) return;
    isThere = true;
    hasAddress.resolve();
  });
  const all = [
    follow(options, SERVICES, take),
    follow(options, ENDPOINT_SLICES, take),
    follow(options, SERVICE_CIDRS, take),
    node,
  ];
  const awaitAll = async (): Promise<void> => {
    await Promise.all(
      all.map(async ({ plural, reflector }) => {
        await reflector.synced;
        events.onSynced(plural);
      }),
    );
    if (!isThere) events.onNodeAwaited(NODE_MS);
    const cancel = clock.after(NODE_MS, () => {
      events.onNodeMissing(NODE_MS);
      hasAddress.resolve();
    });
    await Promise.race([hasAddress.promise, closed.promise]);
    cancel();
  };
  const awaitEnd = async (): Promise<void> => {
    await Promise.all(all.map(async ({ reflector }) => reflector.done));
  };
  const done = awaitEnd();
  return {
    synced: Promise.race([awaitAll(), done]),
    done,
    [Symbol.asyncDispose]: async () => {
      closed.resolve();
      await Promise.all(all.map(async ({ reflector }) => reflector.close()));
    },
  };
}

function follow<I extends ProxyItem>(
  { client, format, watchList, clock, random, events }: ApiSourceOptions,
  resource: Resource<I>,
  onChanges: (changes: readonly Change<I>[], at: number) => void,
): { readonly plural: string; readonly reflector: Reflector<I> } {
  const { plural } = resource;
  const reflector = new Reflector({
    client,
    resource,
    format,
    watchList,
    clock,
    random,
    events: {
      onChanges,
      onProblem: events.onProblem,
      onTrouble: (error, retryMs) => {
        events.onTrouble(plural, error, retryMs);
      },
      onRecovered: () => {
        events.onRecovered(plural);
      },
    },
  });
  return { plural, reflector };
}

function isUsable({ type, item }: Change<NodeItem>): boolean {
  return type === 'set' && item.object.addresses.length > 0;
}
