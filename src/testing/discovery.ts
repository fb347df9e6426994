/** What is there to know without objects: groups, versions, resources and the server's own version. */
import type { JsonObject } from './json.ts';
import { RESOURCES, type Resource } from './resources.ts';

/** `/version`. */
const VERSION = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.2',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

const GROUPS: readonly string[] = [...new Set(RESOURCES.map(({ group }) => group))].filter(
  (group) => group !== '',
);

function groupOf(name: string): JsonObject {
  const preferredVersion = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [preferredVersion], preferredVersion };
}

function describe({ plural, singular, namespaced, kind, shortNames }: Resource): JsonObject {
  const names = shortNames.length === 0 ? {} : { shortNames };
  return { name: plural, singularName: singular, namespaced, kind, verbs: VERBS, ...names };
}

function resourcesOf(group: string): JsonObject {
  const resources = RESOURCES.filter((resource) => resource.group === group);
  return {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? 'v1' : `${group}/v1`,
    resources: resources.map(describe),
  };
}

/** Every path that is answered with a fixed document. */
export const DOCUMENTS: ReadonlyMap<string, JsonObject> = new Map<string, JsonObject>([
  ['/version', VERSION],
  ['/api', { kind: 'APIVersions', versions: ['v1'] }],
  ['/api/v1', resourcesOf('')],
  ['/apis', { kind: 'APIGroupList', apiVersion: 'v1', groups: GROUPS.map(groupOf) }],
  ...GROUPS.flatMap((group): readonly (readonly [string, JsonObject])[] => [
    [`/apis/${group}`, { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }],
    [`/apis/${group}/v1`, resourcesOf(group)],
  ]),
]);

/** Paths that are answered with `ok`. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz']);

/** Paths that a user without credentials may read. */
export const PUBLIC_PATHS: ReadonlySet<string> = new Set([...HEALTH_PATHS, '/version']);
