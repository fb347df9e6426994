/** What clients want to have, from their Accept header (RFC 9110, 12.5.1). */

/** One thing a client takes, such as `application/json;v=v1beta1`. */
interface MediaRange {
  /** `text/plain`, `text/*` or `*` + `/*`, in lower case. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** True for a client that wants OpenMetrics rather than Prometheus' own text. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  const best = parseAccept(accept).find(
    ({ type }) => type === 'application/openmetrics-text' || matches(type, 'text/plain'),
  );
  return best?.type === 'application/openmetrics-text';
}

/** Versions of the objects that describe a component, the current one and one that is going. */
export type PageVersion = 'v1beta1' | 'v1alpha1';

/**
 * How to show a page that describes a component: as text for people, or as the JSON object `kind` of
 * the group config.k8s.io, which a client must name with group, version and kind. `undefined`: as nothing we have.
 */
export function negotiatePage(
  accept: string | undefined,
  kind: string,
): 'text' | PageVersion | undefined {
  if (accept === undefined || accept.trim() === '') return 'text';
  for (const { type, parameters } of parseAccept(accept)) {
    const version = parameters.get('v');
    const isObject = parameters.get('g') === 'config.k8s.io' && parameters.get('as') === kind;
    if (isObject && matches(type, 'application/json')) {
      if (version === 'v1beta1' || version === 'v1alpha1') return version;
    } else if (matches(type, 'text/plain') && !parameters.has('as')) return 'text';
  }
  return undefined;
}

/** The best comes first; equals stay in order. */
function parseAccept(accept = ''): readonly MediaRange[] {
  return accept
    .split(',')
    .map(parseRange)
    .toSorted((a, b) => quality(b) - quality(a));
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';');
  return {
    type: type.trim().toLowerCase(),
    parameters: new Map(
      parameters.map((parameter) => {
        const [name = '', value = ''] = parameter.split('=', 2);
        return [name.trim().toLowerCase(), value.trim()];
      }),
    ),
  };
}

function quality({ parameters }: MediaRange): number {
  const value = Number(parameters.get('q') ?? 1);
  return Number.isNaN(value) ? 0 : value;
}

function matches(range: string, type: string): boolean {
  const [group] = type.split('/', 1);
  return range === type || range === `${group}/*` || range === '*/*';
}
