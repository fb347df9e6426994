/** What a request asks for, read off its method and path as the API server does (endpoints/request/requestinfo.go). */
import { RESOURCES, type Resource } from './resources.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** What of the stored objects a request is about. */
export interface Target {
  readonly verb: Verb;
  readonly resource: Resource;
  /** `''`: all namespaces, or an object of the cluster. */
  readonly namespace: string;
  /** `''`: the collection. */
  readonly name: string;
  readonly subresource: '' | 'status';
}

/** A request as the server's log shows it. */
export interface RequestRecord {
  /** When it came, on the server's clock. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** `undefined` when the request is not about objects: versions, discovery, health, unknown paths. */
  readonly target: Target | undefined;
  readonly accept: string;
  readonly userAgent: string;
  /** Status code of the answer; `undefined` as long as there is none, and when a fault swallowed it. */
  status: number | undefined;
}

/** True for what Go's query decoder takes for true: everything but `0` and `false`, in any case. */
export function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

/** Reads what objects a request is about; `undefined` when the path names none of the resources. */
export function parseTarget(
  method: string,
  path: string,
  query: URLSearchParams,
): Target | undefined {
  const [root = '', ...rest] = path.split('/').slice(1);
  const group = root === 'apis' ? rest.shift() : '';
  const version = rest.shift();
  if (root !== 'api' && root !== 'apis') return undefined;
  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 2) [, namespace = ''] = rest.splice(0, 2);
  const [plural, name = '', subresource = '', ...more] = rest;
  const resource = RESOURCES.find(
    (one) => one.group === group && one.version === version && one.plural === plural,
  );
  if (resource === undefined || more.length > 0) return undefined;
  if (namespace !== '' && !resource.namespaced) return undefined;
  if (name !== '' && namespace === '' && resource.namespaced) return undefined;
  if (subresource !== '' && !(subresource === 'status' && resource.hasStatus)) return undefined;
  const verb = verbOf(method, name !== '', isSet(query, 'watch'));
  if (verb === undefined) return undefined;
  return { verb, resource, namespace, name, subresource: subresource === '' ? '' : 'status' };
}

function verbOf(method: string, named: boolean, watch: boolean): Verb | undefined {
  switch (method) {
    case 'GET':
      if (watch) return 'watch';
      return named ? 'get' : 'list';
    case 'POST':
      return named ? undefined : 'create';
    case 'PUT':
      return named ? 'update' : undefined;
    case 'PATCH':
      return named ? 'patch' : undefined;
    case 'DELETE':
      return named ? 'delete' : undefined;
    default:
      return undefined;
  }
}
