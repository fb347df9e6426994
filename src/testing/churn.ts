/** Changes without end, for benchmarks: one slice after the other gets a new endpoint in place of an old one. */
import type { ApiServer } from './api-server.ts';
import { replaceEndpoint } from './cluster.ts';
import { type JsonObject, listIn, objectIn, textIn } from './json.ts';

/** A change that was made. */
export interface ChurnEvent {
  /** `namespace/name` of the slice. */
  readonly slice: string;
  /** The address that came in. */
  readonly address: string;
  readonly resourceVersion: string;
  /** When the change was stored, in milliseconds since 1970. */
  readonly at: number;
}

/** The timer that makes changes due does not run more often than this, in milliseconds. */
const TICK_MS = 5;

export class Churn implements Disposable {
  readonly #server: ApiServer;
  readonly #onChange: (event: ChurnEvent) => void;
  /** Slices in the order in which they change. */
  readonly #slices: readonly { readonly namespace: string; readonly name: string }[];
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  constructor(server: ApiServer, onChange: (event: ChurnEvent) => void) {
    this.#server = server;
    this.#onChange = onChange;
    this.#slices = server.list('EndpointSlice').map((slice) => {
      const metadata = objectIn(slice, 'metadata');
      return { namespace: textIn(metadata, 'namespace'), name: textIn(metadata, 'name') };
    });
  }

  /** Makes changes at an even rate until told otherwise; 0 stops. */
  setRate(perSecond: number): void {
    clearInterval(this.#timer);
    if (perSecond <= 0) return;
    const begin = performance.now();
    let made = 0;
    this.#timer = setInterval(
      () => {
        const due = Math.floor(((performance.now() - begin) / 1000) * perSecond);
        for (; made < due; made++) this.change();
      },
      Math.max(TICK_MS, 1000 / perSecond),
    );
  }

  /** Makes one change. */
  change(): void {
    const turn = this.#turn++;
    const where = this.#slices[turn % this.#slices.length];
    if (where === undefined) return;
    const slice = this.#server.get('EndpointSlice', where.namespace, where.name);
    if (slice === undefined) return;
    const endpoint = turn % Math.max(1, listIn(slice, 'endpoints').length);
    const address = `10.${252 + ((turn >>> 16) & 3)}.${(turn >>> 8) & 255}.${turn & 255}`;
    const stored = this.#server.apply({
      ...withoutVersion(replaceEndpoint(slice, endpoint, address)),
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
    });
    this.#onChange({
      slice: `${where.namespace}/${where.name}`,
      address,
      resourceVersion: textIn(objectIn(stored, 'metadata'), 'resourceVersion'),
      at: performance.timeOrigin + performance.now(),
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function withoutVersion(object: JsonObject): JsonObject & { readonly metadata: JsonObject } {
  return { ...object, metadata: { ...objectIn(object, 'metadata'), resourceVersion: undefined } };
}
