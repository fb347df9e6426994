/** What the proxy writes to the API as Events, for `kubectl describe node` and `kubectl events`. */
import { type ObjectKey, splitKey } from '../core/model.ts';
import type { EventNote } from '../kube/event.ts';

/** Takes Events; does nothing where there is no API server. */
export interface EventSink {
  record(note: EventNote): void;
}

/** Without an API server. */
export const NO_EVENTS: EventSink = { record: () => undefined };

/** Name under which kube-proxy writes Events, which people search for. */
export const CONTROLLER = 'kube-proxy';

/** The proxy began to serve. */
export function starting(nodeName: string): EventNote {
  return {
    type: 'Normal',
    reason: 'Starting',
    action: 'StartKubeProxy',
    note: '',
    regarding: nodeSubject(nodeName),
  };
}

/** Something on this node does not work. `reason` is one word. */
export function nodeWarning(
  nodeName: string,
  reason: string,
  action: string,
  note: string,
): EventNote {
  return { type: 'Warning', reason, action, note, regarding: nodeSubject(nodeName) };
}

/** Something about a Service does not work on this node. */
export function serviceWarning(
  service: ObjectKey,
  reason: string,
  action: string,
  note: string,
): EventNote {
  const regarding = { apiVersion: 'v1', kind: 'Service', ...splitKey(service), uid: '' };
  return { type: 'Warning', reason, action, note, regarding };
}

/** As kube-proxy refers to its Node: by name, also where the uid should be. */
function nodeSubject(name: string): EventNote['regarding'] {
  return { apiVersion: 'v1', kind: 'Node', namespace: '', name, uid: name };
}
