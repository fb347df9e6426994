/** What the process that holds the plane under test can be asked. */
import type { ObjectKey } from '../../../src/core/model.ts';
import type { Route } from '../../../src/core/route.ts';
import type {
  Capability,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  WriteReport,
} from '../../../src/planes/plane.ts';
import type { KubeObject } from './objects.ts';

/** Node-wide choices, as an operator makes them. */
export interface Setup {
  /** The Node object. */
  readonly node: KubeObject;
  /** Flags of `switchyard proxy`, without dashes. */
  readonly flags: Readonly<Record<string, string>>;
  /** How many Service ports are counted. */
  readonly countedPorts: number;
  /** Ranges of ServiceCIDRs. */
  readonly serviceCidrs: readonly string[];
}

export interface ObjectChanges {
  readonly remove: readonly KubeObject[];
  readonly set: readonly KubeObject[];
}

export type HostCalls = {
  readonly capabilities: { readonly params: null; readonly result: readonly Capability[] };
  /** Opens the plane, or opens it again with another set-up, for the objects known so far and these. */
  readonly open: {
    readonly params: { readonly setup: Setup; readonly objects: readonly KubeObject[] };
    readonly result: WriteReport;
  };
  /** What a watch would deliver: objects gone, added and changed. Answered when it is programmed. */
  readonly change: { readonly params: ObjectChanges; readonly result: WriteReport };
  /** Programs Routes of a Service that no object asks for, in place of those it had. */
  readonly routes: {
    readonly params: { readonly service: ObjectKey; readonly routes: readonly Route[] };
    readonly result: WriteReport;
  };
  readonly disturbed: { readonly params: null; readonly result: boolean };
  readonly verify: { readonly params: null; readonly result: DriftReport };
  readonly inspect: { readonly params: null; readonly result: readonly ProgrammedFrontend[] };
  readonly counters: { readonly params: null; readonly result: readonly ServiceCounters[] };
  readonly remove: { readonly params: null; readonly result: boolean };
};
