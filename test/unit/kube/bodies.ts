/** JSON as an API server writes it, for tests of the client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An object without kind and apiVersion, as it is in a list. */
export type Json = Readonly<Record<string, unknown>>;

/** A recorded answer of a real API server. */
export function recorded(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, '../../fixtures/apiserver-1.36', name));
}

/** A Service `shop/NAME` with one port. */
export function service(name: string, resourceVersion: string, port = 80): Json {
  return {
    metadata: { name, namespace: 'shop', resourceVersion },
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ port }] },
  };
}

/** A list of Services. */
export function serviceList(items: readonly Json[], resourceVersion: string, next = ''): string {
  const metadata = { resourceVersion, ...(next !== '' && { continue: next }) };
  return JSON.stringify({ kind: 'ServiceList', apiVersion: 'v1', metadata, items });
}

/** One line of a watch of Services. */
export function event(type: string, object: Json, kind = 'Service'): string {
  return `${JSON.stringify({ type, object: { kind, apiVersion: 'v1', ...object } })}\n`;
}

/** A bookmark in a watch of Services. */
export function bookmark(resourceVersion: string, endsInitial = false): string {
  const annotations = endsInitial ? { 'k8s.io/initial-events-end': 'true' } : undefined;
  return event('BOOKMARK', { metadata: { resourceVersion, annotations } });
}
