/** Objects of events.k8s.io/v1 and what a repeat changes in them. */

/** What an event is about. */
interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  /** `''` for what has none; the event is then written in `default`. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Something an operator should see with `kubectl describe` or `kubectl events`. */
export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** What happened, one word, such as `Starting`. */
  readonly reason: string;
  /** What was done, one word, such as `StartKubeProxy`. */
  readonly action: string;
  /** For people. */
  readonly note: string;
  readonly regarding: EventSubject;
}

/** Who writes events. */
export interface EventReporter {
  /** Such as `kube-proxy`. */
  readonly controller: string;
  /** Such as `kube-proxy-node1`. */
  readonly instance: string;
}

/** An event and how often it happened. */
export interface EventSeries {
  readonly name: string;
  readonly note: EventNote;
  /** Wall time in milliseconds. */
  readonly firstAt: number;
  lastAt: number;
  count: number;
}

/** Longest note and name the API takes. */
const MAX_NOTE = 1024;
const MAX_NAME = 253;

/** Equal for events that only differ in time and note. */
export function eventKey({ type, reason, action, regarding }: EventNote): string {
  return JSON.stringify([type, reason, action, regarding]);
}

/** Name of a new event: its subject's, and the time in nanoseconds, as client-go makes it. */
export function eventName(subject: string, wallMs: number, random: () => number): string {
  const nanoseconds = BigInt(Math.floor(wallMs)) * 1_000_000n + BigInt(Math.floor(random() * 1e6));
  const suffix = `.${nanoseconds.toString(16)}`;
  return subject.slice(0, MAX_NAME - suffix.length) + suffix;
}

/** Path of the events in the namespace of their subject. */
export function eventsPath({ regarding }: EventNote): string {
  return `/apis/events.k8s.io/v1/namespaces/${namespaceOf(regarding)}/events`;
}

/** JSON of the whole event. */
export function eventBody(series: EventSeries, { controller, instance }: EventReporter): string {
  const { type, reason, action, note, regarding } = series.note;
  return JSON.stringify({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: series.name, namespace: namespaceOf(regarding) },
    eventTime: microTime(series.firstAt),
    reportingController: controller,
    reportingInstance: instance,
    type,
    reason,
    action,
    note: note.slice(0, MAX_NOTE),
    regarding,
    ...(series.count > 1 && seriesOf(series)),
  });
}

/** JSON of what a repeat changes. */
export function eventPatch(series: EventSeries): string {
  return JSON.stringify(seriesOf(series));
}

function seriesOf({ count, lastAt }: EventSeries): object {
  return { series: { count, lastObservedTime: microTime(lastAt) } };
}

function namespaceOf({ namespace }: EventSubject): string {
  return namespace === '' ? 'default' : namespace;
}

/** `metav1.MicroTime`. */
function microTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, -1)}000Z`;
}
