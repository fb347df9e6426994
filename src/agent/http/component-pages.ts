/**
 * `/statusz` and `/flagz`, the pages by which components of Kubernetes describe themselves
 * (KEP-4827, KEP-4828; shapes of 1.36: k8s.io/apiserver/pkg/server/{statusz,flagz}).
 */
import { type Answer, answer, plainText } from './answer.ts';
import { type PageVersion, negotiatePage } from './accept.ts';
import { rfc3339, unixDate } from './time-text.ts';

/** What `/statusz` shows. */
export interface ComponentStatus {
  /** Name of the component, such as `kube-proxy`. */
  readonly component: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly uptimeSeconds: number;
  /** What the program runs on, where others name their version of Go. */
  readonly runtime: string;
  readonly version: string;
  /** Version of Kubernetes whose behaviour the component shows, such as `1.36`. */
  readonly emulates: string;
  /** Other pages there are. */
  readonly paths: readonly string[];
}

/** Values of flags by name, as a user would write them. Secrets are left out by whoever makes it. */
export type Flags = Readonly<Record<string, string>>;

const WARNING =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n';

/** Answers `/statusz` in the form that a client accepts. */
export function statuszAnswer(status: ComponentStatus, accept: string | undefined): Answer {
  return page(accept, 'Statusz', status.component, {
    fields: {
      startTime: rfc3339(status.startedAt),
      uptimeSeconds: Math.floor(status.uptimeSeconds),
      goVersion: status.runtime,
      binaryVersion: status.version,
      emulationVersion: status.emulates,
      paths: status.paths,
    },
    text: [
      '',
      `Started: ${unixDate(status.startedAt)}`,
      `Up: ${uptime(status.uptimeSeconds)}`,
      `Go version: ${status.runtime}`,
      `Binary version: ${status.version}`,
      `Emulation version: ${status.emulates}`,
      `Paths: ${status.paths.join(' ')}`,
    ],
  });
}

/** Answers `/flagz` in the form that a client accepts. */
export function flagzAnswer(component: string, flags: Flags, accept: string | undefined): Answer {
  const sorted = Object.entries(flags).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return page(accept, 'Flagz', component, {
    fields: { flags: Object.fromEntries(sorted) },
    text: sorted.map(([name, value]) => `${name}=${value}`),
  });
}

function page(
  accept: string | undefined,
  kind: 'Statusz' | 'Flagz',
  component: string,
  content: { readonly fields: object; readonly text: readonly string[] },
): Answer {
  const form = negotiatePage(accept, kind);
  if (form === undefined) {
    const object = `application/json;v=v1beta1;g=config.k8s.io;as=${kind}`;
    return plainText(406, `only the following media types are accepted: ${object}, text/plain\n`);
  }
  const name = kind.toLowerCase();
  if (form === 'text')
    return plainText(200, `\n${component} ${name}\n${WARNING}${content.text.join('\n')}\n`);
  const object = {
    kind,
    apiVersion: `config.k8s.io/${form}`,
    metadata: { name: component },
    ...content.fields,
  };
  return answer(200, 'application/json', `${JSON.stringify(object)}\n`, deprecation(form, name));
}

function deprecation(version: PageVersion, name: string): Readonly<Record<string, string>> {
  if (version !== 'v1alpha1') return {};
  return {
    Warning: `299 - "This version of the ${name} endpoint is deprecated. Please use a newer version."`,
  };
}

function uptime(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 3600)} hr ${sixtieth(whole / 60)} min ${sixtieth(whole)} sec`;
}

/** What minutes and seconds show, in two digits. */
function sixtieth(value: number): string {
  return String(Math.floor(value) % 60).padStart(2, '0');
}
