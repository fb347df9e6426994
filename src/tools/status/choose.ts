/** Which Services are asked for, and in which order they are shown. */

/** Which Services are asked for; `undefined`: any. */
export interface ServiceFilter {
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/**
 * Those items that are asked for, in order of their Services.
 *
 * @param serviceOf - `namespace/name` or `namespace/name:port` of an item.
 */
export function chooseItems<T>(
  items: readonly T[],
  filter: ServiceFilter,
  serviceOf: (item: T) => string,
): readonly T[] {
  const keyed = items.map((item) => ({ item, service: serviceOf(item) }));
  return keyed
    .filter(({ service }) => isChosen(service, filter))
    .toSorted((a, b) => (a.service === b.service ? 0 : a.service < b.service ? -1 : 1))
    .map(({ item }) => item);
}

function isChosen(service: string, { namespace, name }: ServiceFilter): boolean {
  const [, inNamespace = '', called = ''] = /^([^/]*)\/?([^:]*)/.exec(service) ?? [];
  return (
    (namespace === undefined || inNamespace === namespace) &&
    (name === undefined || called === name)
  );
}
