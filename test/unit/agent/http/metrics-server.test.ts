import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import { type MetricsSources, metricsServer } from '../../../../src/agent/http/metrics-server.ts';
import { RawClient, address, ask } from './client.ts';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** A metrics port on loopback whose sources say fixed things. */
async function openUnderTest(
  t: TestContext,
  {
    profiling = false,
    sources = {},
  }: { profiling?: boolean; sources?: Partial<MetricsSources> } = {},
) {
  const verbosities: number[] = [];
  const faults: unknown[] = [];
  const server = metricsServer({
    address: address('127.0.0.1'),
    port: 0,
    profiling,
    clock: SYSTEM_CLOCK,
    events: {
      listening: () => undefined,
      failed: ({ message }) => assert.fail(message),
      fault: (error) => faults.push(error),
    },
    sources: {
      metrics: async (openMetrics) =>
        Promise.resolve({
          contentType: openMetrics ? OPEN_METRICS : TEXT,
          body: openMetrics ? 'up 1\n# EOF\n' : 'up 1\n',
        }),
      mode: () => 'nftables',
      configz: () => '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration"}}',
      flags: () => ({ v: '2', config: '/var/lib/config.conf', cleanup: 'false' }),
      status: () => ({
        component: 'kube-proxy',
        startedAt: Date.UTC(2026, 10, 2, 1, 23, 45, 678),
        uptimeSeconds: 3 * 3600 + 25 * 60 + 7.9,
        runtime: 'Node.js v24.21.0',
        version: '0.1.0',
        emulates: '1.36',
      }),
      setVerbosity: (level) => verbosities.push(level),
      ...sources,
    },
  });
  t.after(async () => server.close());
  await server.open();
  return { port: server.port, verbosities, faults };
}

test('the mode is told without a line break', async (t) => {
  const { port } = await openUnderTest(t);
  const { status, headers, body } = await ask({ port, path: '/proxyMode' });
  assert.deepEqual([status, body], [200, 'nftables']);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('the configuration in force is JSON', async (t) => {
  const { port } = await openUnderTest(t);
  const { status, headers, body } = await ask({ port, path: '/configz' });
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(body, '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration"}}');
});

test('health of this port is always ok, and counted as a service level indicator', async (t) => {
  const { port } = await openUnderTest(t);
  assert.equal((await ask({ port, path: '/metrics/slis' })).body, '');
  for (const path of ['/healthz', '/healthz/ping']) {
    const { status, body } = await ask({ port, path });
    assert.deepEqual([status, body], [200, 'ok'], path);
  }
  const { body } = await ask({ port, path: '/metrics/slis' });
  assert.match(body, /^kubernetes_healthcheck\{name="ping",type="healthz"\} 1$/m);
  assert.match(
    body,
    /^kubernetes_healthchecks_total\{name="ping",status="success",type="healthz"\} 2$/m,
  );
  const reset = await ask({ port, path: '/metrics/slis', method: 'DELETE' });
  assert.deepEqual([reset.status, reset.body], [200, 'metrics reset\n']);
  assert.equal((await ask({ port, path: '/metrics/slis' })).body, '');
});

test('metrics come as Prometheus text, or as OpenMetrics to those who prefer it', async (t) => {
  const { port } = await openUnderTest(t);
  const typeFor = async (accept?: string): Promise<unknown> => {
    const { headers } = await ask({ port, path: '/metrics', ...(accept && { accept }) });
    return headers['content-type'];
  };
  assert.equal(await typeFor(), TEXT);
  assert.equal(await typeFor('*/*'), TEXT);
  assert.equal(await typeFor('text/html, garbage;;=;q=x'), TEXT);
  assert.equal(await typeFor('application/openmetrics-text'), OPEN_METRICS);
  // What Prometheus sends.
  assert.equal(
    await typeFor(
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    ),
    OPEN_METRICS,
  );
  assert.equal(await typeFor('application/openmetrics-text;q=0.3,text/plain;q=0.9'), TEXT);
});

test('scrapes at the same time share one text, a later one gets its own', async (t) => {
  let count = 0;
  const asked = Promise.withResolvers<undefined>();
  const written = Promise.withResolvers<undefined>();
  const { port } = await openUnderTest(t, {
    sources: {
      metrics: async () => {
        const body = `scrape ${++count};`;
        asked.resolve(undefined);
        await written.promise;
        return { contentType: TEXT, body };
      },
    },
  });
  using client = await RawClient.connect(port);
  client.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2));
  await asked.promise;
  written.resolve(undefined);
  await client.saw('scrape 1;');
  client.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('scrape 2;');
  assert.deepEqual(client.text.match(/scrape \d/g), ['scrape 1', 'scrape 1', 'scrape 2']);
});

test('metrics that cannot be written are a 500, and the next scrape tries again', async (t) => {
  let count = 0;
  const { port, faults } = await openUnderTest(t, {
    sources: {
      metrics: async () => {
        if (count++ === 0) throw new Error('no counters');
        return Promise.resolve({ contentType: TEXT, body: 'up 1\n' });
      },
    },
  });
  assert.equal((await ask({ port, path: '/metrics' })).status, 500);
  assert.equal((await ask({ port, path: '/metrics' })).body, 'up 1\n');
  assert.deepEqual(faults.map(String), ['Error: no counters']);
});

test('/statusz is text for people', async (t) => {
  const { port } = await openUnderTest(t);
  const { status, headers, body } = await ask({ port, path: '/statusz' });
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(
    body,
    `
kube-proxy statusz
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.

Started: Mon Nov  2 01:23:45 UTC 2026
Up: 3 hr 25 min 07 sec
Go version: Node.js v24.21.0
Binary version: 0.1.0
Emulation version: 1.36
Paths: /configz /flagz /healthz /metrics /proxyMode
`,
  );
});

test('/flagz is text for people, sorted', async (t) => {
  const { port } = await openUnderTest(t);
  const { body } = await ask({ port, path: '/flagz', accept: 'text/plain;charset=utf-8' });
  assert.equal(
    body,
    `
kube-proxy flagz
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.
cleanup=false
config=/var/lib/config.conf
v=2
`,
  );
});

const object = (version: string, kind: string): string =>
  `application/json;v=${version};g=config.k8s.io;as=${kind}`;

test('/statusz and /flagz are objects for those who name one', async (t) => {
  const { port } = await openUnderTest(t);
  const statusz = await ask({ port, path: '/statusz', accept: object('v1beta1', 'Statusz') });
  assert.equal(statusz.headers['content-type'], 'application/json');
  assert.equal(statusz.headers['warning'], undefined);
  assert.equal(
    statusz.body,
    '{"kind":"Statusz","apiVersion":"config.k8s.io/v1beta1","metadata":{"name":"kube-proxy"},"startTime":"2026-11-02T01:23:45Z","uptimeSeconds":12307,"goVersion":"Node.js v24.21.0","binaryVersion":"0.1.0","emulationVersion":"1.36","paths":["/configz","/flagz","/healthz","/metrics","/proxyMode"]}\n',
  );
  const flagz = await ask({ port, path: '/flagz', accept: object('v1beta1', 'Flagz') });
  assert.equal(
    flagz.body,
    '{"kind":"Flagz","apiVersion":"config.k8s.io/v1beta1","metadata":{"name":"kube-proxy"},"flags":{"cleanup":"false","config":"/var/lib/config.conf","v":"2"}}\n',
  );
});

test('the old version of an object comes with a warning', async (t) => {
  const { port } = await openUnderTest(t);
  const accept = `${object('v1alpha1', 'Flagz')},${object('v1beta1', 'Flagz')}`;
  const { headers, body } = await ask({ port, path: '/flagz', accept });
  assert.match(body, /"apiVersion":"config\.k8s\.io\/v1alpha1"/);
  assert.equal(
    headers['warning'],
    '299 - "This version of the flagz endpoint is deprecated. Please use a newer version."',
  );
});

test('what is asked for decides between text, object and refusal', async (t) => {
  const { port } = await openUnderTest(t);
  const answerTo = async (accept: string): Promise<string> => {
    const { status, headers } = await ask({ port, path: '/statusz', accept });
    return `${status} ${headers['content-type']}`;
  };
  const text = '200 text/plain; charset=utf-8';
  assert.equal(await answerTo(' '), text);
  assert.equal(await answerTo('*/*'), text);
  assert.equal(await answerTo('text/*'), text);
  assert.equal(await answerTo(`${object('foo', 'Statusz')},*/*`), text);
  const refusal = '406 text/plain; charset=utf-8';
  assert.equal(await answerTo('application/xml'), refusal);
  assert.equal(await answerTo('application/json'), refusal);
  assert.equal(await answerTo('application/json;v=v1beta1;g=config.k8s.io'), refusal);
  assert.equal(await answerTo(object('v1beta1', 'Flagz')), refusal);
  assert.equal(await answerTo('text/plain;as=Statusz'), refusal);
});

test('with profiling the verbosity can be set, by PUT and with a number only', async (t) => {
  const { port, verbosities } = await openUnderTest(t, { profiling: true });
  const path = '/debug/flags/v';
  const put = await ask({ port, path, method: 'PUT', body: '5' });
  assert.deepEqual([put.status, put.body], [200, 'successfully set klog.logging.verbosity to 5\n']);
  assert.equal((await ask({ port, path })).status, 406);
  for (const body of ['', 'x', '1.5', '5\n', '9'.repeat(40), '9'.repeat(1_000_000)]) {
    assert.equal((await ask({ port, path, method: 'PUT', body })).status, 400);
  }
  assert.deepEqual(verbosities, [5]);
});

test('with profiling the missing profiles are explained', async (t) => {
  const { port } = await openUnderTest(t, { profiling: true });
  for (const path of ['/debug/pprof', '/debug/pprof/', '/debug/pprof/heap?debug=1']) {
    const { status, body } = await ask({ port, path });
    assert.equal(status, 404);
    assert.match(body, /no Go profiles/);
  }
});

test('without profiling nothing below /debug is there', async (t) => {
  const { port, verbosities } = await openUnderTest(t);
  for (const path of ['/debug/flags/v', '/debug/pprof/', '/debug/pprof/heap']) {
    const { status, body } = await ask({ port, path, method: 'PUT', body: '9' });
    assert.deepEqual([status, body], [404, '404 page not found\n'], path);
  }
  assert.deepEqual(verbosities, []);
});

test('other paths are not there', async (t) => {
  const { port } = await openUnderTest(t);
  for (const path of ['/', '/metrics/', '/livez', '/proxymode', '/healthz/log']) {
    assert.equal((await ask({ port, path })).status, 404, path);
  }
});
