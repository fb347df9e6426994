/** What the status socket can be asked. The first part of each path is the version of what it answers. */
import type { ProgrammedFrontend } from '../../planes/plane.ts';
import { json } from '../http/answer.ts';
import type { Planned } from '../planner.ts';
import {
  type EndpointDocument,
  type ServiceDocument,
  type StatusDocument,
  endpointDocuments,
  serviceDocument,
} from './documents.ts';
import { jsonList } from './json-list.ts';
import type { StatusHandle, StatusPages } from './status-server.ts';

/** Where the answers come from. All are asked anew for each request. */
export interface StatusSources {
  readonly status: () => StatusDocument;
  readonly planned: () => Planned;
  /** What the kernel holds, read beside the data plane that works. */
  readonly inspect: () => Promise<readonly ProgrammedFrontend[]>;
  /** Lets others run. */
  readonly breathe: () => Promise<void>;
}

/** The pages there are. */
export function statusPages(sources: StatusSources): StatusPages {
  const { status, planned, breathe } = sources;
  const list = (items: () => Iterable<unknown> | Promise<Iterable<unknown>>): StatusHandle => {
    return async () => {
      const { mode } = status();
      const pieces = jsonList({ mode }, await items(), breathe);
      return { status: 200, contentType: 'application/json', pieces };
    };
  };
  const inspect = shared(sources.inspect);
  return new Map([
    ['/v1/status', { GET: () => json(200, `${JSON.stringify(status())}\n`) }],
    ['/v1/services', { GET: list(() => services(planned())) }],
    ['/v1/endpoints', { GET: list(() => endpoints(planned())) }],
    ['/v1/routes', { GET: list(() => planned().routes()) }],
    ['/v1/programmed', { GET: list(inspect) }],
  ]);
}

function* services({ objects }: Planned): Generator<ServiceDocument> {
  for (const [key, service] of objects.services()) {
    yield serviceDocument(service, objects.get(key));
  }
}

function* endpoints({ objects }: Planned): Generator<EndpointDocument> {
  for (const slice of objects.slices()) yield* endpointDocuments(slice);
}

/** Those who ask while the kernel is being read get the same: it costs most of all answers. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return async () => {
    underWay ??= read().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
