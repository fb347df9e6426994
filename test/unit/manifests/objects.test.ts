import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretDocument } from '../../../src/manifests/objects.ts';
import { serviceYaml, sliceYaml } from '../../lab/manifests.ts';

test('a Service, an EndpointSlice and a Node are decoded under their names', () => {
  const service = interpretDocument(serviceYaml({ name: 'web' }));
  const slice = interpretDocument(sliceYaml('web', ['10.0.0.1']));
  const node = interpretDocument('apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n');
  assert.deepEqual(
    [service, slice, node].map(({ objects }) => objects.map(({ id, item }) => [id, item.kind])),
    [
      [['Service shop/web', 'Service']],
      [['EndpointSlice shop/web-1', 'EndpointSlice']],
      [['Node n1', 'Node']],
    ],
  );
  for (const { problems, ignored } of [service, slice, node]) {
    assert.deepEqual(problems, []);
    assert.deepEqual(ignored, []);
  }
});

test('an object without namespace is in "default", as its decoded form is', () => {
  const { objects } = interpretDocument(
    serviceYaml({ name: 'web' }).replace('  namespace: shop\n', ''),
  );
  assert.equal(objects[0]?.id, 'Service default/web');
  assert.ok(objects[0].item.kind === 'Service');
  assert.equal(objects[0].item.object.namespace, 'default');
});

test('kinds that are not read are named, other versions of known kinds too', () => {
  const other = interpretDocument('apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n');
  assert.deepEqual(other.ignored, ['apps/v1 Deployment']);
  assert.deepEqual(other.problems, []);
  const old = interpretDocument('apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\n');
  assert.deepEqual(old.ignored, ['discovery.k8s.io/v1beta1 EndpointSlice']);
});

test('a wrong field is reported with its line, and the rest of the object is there', () => {
  const { objects, problems, broken, unreadable } = interpretDocument(
    serviceYaml({ name: 'web', port: '"http"' }),
  );
  const [problem] = problems;
  assert.equal(problem?.field, 'spec.ports[0].port');
  assert.equal(problem.line, 10);
  assert.equal(problem.object, 'Service shop/web');
  assert.equal(objects[0]?.clean, false);
  assert.deepEqual(broken, []);
  assert.equal(unreadable, false);
});

test('an object that cannot be used at all is broken, not absent', () => {
  const { objects, broken, problems } = interpretDocument(
    sliceYaml('web', []).replace('addressType: IPv4', 'addressType: FQDN'),
  );
  assert.deepEqual(objects, []);
  assert.deepEqual(broken, ['EndpointSlice shop/web-1']);
  assert.equal(problems[0]?.line, 8);
  assert.equal(problems[0].field, 'addressType');
});

test('a slice no proxy serves is no problem and no object', () => {
  const text = sliceYaml('web', []).replace(
    '  labels:',
    '  labels:\n    service.kubernetes.io/headless: ""',
  );
  const { objects, broken, problems, unreadable } = interpretDocument(text);
  assert.deepEqual({ objects, broken, problems }, { objects: [], broken: [], problems: [] });
  assert.equal(unreadable, false);
});

test('a document that does not say what it is cannot be told apart from others', () => {
  const cases: readonly [string, string, number][] = [
    ['apiVersion: v1\nmetadata: {name: a}\n', 'kind', 1],
    ['metadata: {name: a}\nkind: Service\n', 'apiVersion', 1],
    ['apiVersion: v1\nkind: [Service]\n', 'kind', 2],
    ['just a text\n', '', 1],
    ['- a\n- list\n', '', 1],
    ['apiVersion: v1\nkind: Service\nmetadata: {}\n', 'metadata.name', 3],
    ['apiVersion: v1\nkind: Service\nmetadata: {name: 7}\n', 'metadata.name', 3],
  ];
  for (const [text, field, line] of cases) {
    const { unreadable, problems, objects } = interpretDocument(text);
    assert.equal(unreadable, true, text);
    assert.deepEqual(objects, [], text);
    assert.equal(problems[0]?.field, field, text);
    assert.equal(problems[0].line, line, text);
  }
});

test('an empty document says nothing', () => {
  const { objects, problems, unreadable } = interpretDocument('---\n# nothing\n');
  assert.deepEqual(
    { objects, problems, unreadable },
    { objects: [], problems: [], unreadable: false },
  );
});

test('the items of a List are objects with their own lines', () => {
  const items = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: a}
  spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: b}
  spec:
    clusterIP: 10.96.0.2
    ports:
    - port: 99999
- apiVersion: v1
  kind: ConfigMap
- 5
`;
  const { objects, problems, ignored, unreadable } = interpretDocument(items);
  assert.deepEqual(
    objects.map(({ id, path }) => [id, path]),
    [
      ['Service default/a', 'items[0]'],
      ['Service default/b', 'items[1]'],
    ],
  );
  assert.equal(problems[0]?.field, 'items[1].spec.ports[0].port');
  assert.equal(problems[0].line, 14);
  assert.deepEqual(ignored, ['v1 ConfigMap']);
  assert.equal(problems.at(-1)?.field, 'items[3]');
  assert.equal(problems.at(-1)?.line, 17);
  assert.equal(unreadable, true);
});

test('the items of a typed list need not repeat what they are', () => {
  const { objects } = interpretDocument(
    'apiVersion: v1\nkind: NodeList\nitems:\n- metadata: {name: n1}\n- metadata: {name: n2}\n',
  );
  assert.deepEqual(
    objects.map(({ id }) => id),
    ['Node n1', 'Node n2'],
  );
});

test('a list without items is empty, and one whose items are none is reported', () => {
  assert.deepEqual(interpretDocument('apiVersion: v1\nkind: List\n').problems, []);
  const { problems } = interpretDocument('apiVersion: v1\nkind: List\nitems: {}\n');
  assert.equal(problems[0]?.field, 'items');
});
