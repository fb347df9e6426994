/** What a conformance case is made of. */
import type { HostName, ServerName } from '../../lab/topology.ts';
import type { L4, ProbeError } from '../../lab/agent/calls.ts';
import type { Setup } from './host-calls.ts';
import type { KubeObject } from './objects.ts';
import type { Place } from './place.ts';
import type { World } from './world.ts';

/** A server that answers on port 8080, or on another port. */
type Answer = ServerName | `${ServerName}:${number}`;

interface ProbeSubject {
  readonly from: HostName | readonly HostName[];
  readonly to: readonly [address: string, port: number];
  /** TCP and UDP, each, when absent. */
  readonly over?: L4;
  /** Address to probe from; the host's own by default. */
  readonly source?: string;
  readonly sourcePort?: number;
}

/** A row of the table: who probes what, and what it gets. */
export type Expectation = ProbeSubject &
  (
    | {
        /** Exactly these servers answer, every one of them. */
        readonly reaches: readonly Answer[];
        /** Whose address the server sees: the client's, or one of the node's. Not looked at when absent. */
        readonly seenAs?: 'itself' | 'node';
      }
    | { readonly fails: ProbeError }
  );

/** First what changes, in this order, then what must be true. All expectations of a step are tried at the same time. */
interface Step {
  /** For the message of a failure. */
  readonly when?: string;
  readonly setup?: Partial<Setup>;
  readonly remove?: readonly KubeObject[];
  readonly set?: readonly KubeObject[];
  readonly expect?: readonly Expectation[];
  /** Whatever a row cannot say. */
  readonly check?: (world: World) => void | Promise<void>;
}

/** A behaviour. It starts from no objects and the default set-up, and runs once for each family. */
export interface ConformanceCase {
  readonly name: string;
  /** It looks at the kernel, or damages what is there, with the plane's own tools. */
  readonly usesTools?: true;
  readonly steps: (at: Place) => readonly Step[];
}
