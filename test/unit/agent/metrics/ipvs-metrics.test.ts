import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRICS, registeredMetrics } from '../../../../src/agent/metrics/definitions.ts';
import {
  IpvsMetrics,
  type IpvsServer,
  type IpvsSnapshot,
} from '../../../../src/agent/metrics/ipvs-metrics.ts';
import { MetricSet } from '../../../../src/agent/metrics/metric-set.ts';
import { ipvsServer, real, stats } from '../../tools/inspect/ipvs/samples.ts';
import { parsePrometheus } from './exposition-parser.ts';
import { Answer } from './harness.ts';

function server(name: string, reals = 1, port = 80): IpvsServer {
  const { name: virtual } = ipvsServer('TCP', '10.96.0.1', port);
  const realServers = Array.from({ length: reals }, (_, index) => real(`10.0.0.${index + 1}`));
  return { namespace: 'shop', name, port: 'http', virtual, stats: stats({}), realServers };
}

function isIpvs({ name }: { readonly name: string }): boolean {
  return name.includes('ipvs_');
}

class Metrics {
  readonly set = new MetricSet('ipvs');
  readonly ipvs: IpvsMetrics;

  constructor(servers: () => readonly IpvsServer[], maxServers = 100) {
    const read = async (): Promise<IpvsSnapshot> => ({
      connectionTableSize: 4096,
      servers: servers(),
    });
    this.ipvs = new IpvsMetrics({ read, maxServers }, this.set);
  }

  async answer(): Promise<Answer> {
    const text = `${await this.ipvs.text()}${await this.set.text()}`;
    return new Answer([...parsePrometheus(text).values()].flatMap(({ samples }) => samples));
  }

  /** Names of the Services that are told of, and how many are left out. */
  async told(): Promise<readonly unknown[]> {
    const answer = await this.answer();
    const names = answer.labels('ipvs_connections_total').map(({ name = '' }) => name);
    return [names.join(' '), answer.value('switchyard_ipvs_servers_left_out')];
  }
}

test('an answer has what IPVS has counted, server by server', async () => {
  const web: IpvsServer = {
    ...server('web'),
    stats: stats({
      connections: 7,
      inPackets: 70,
      outPackets: 60,
      inBytes: 7000,
      outBytes: 2 ** 40,
    }),
    realServers: [
      real('10.0.0.1', { weight: 5, activeConnections: 3, inactiveConnections: 1 }),
      real('10.0.0.2', { weight: 0, activeConnections: 2, inactiveConnections: 4 }),
    ],
  };
  const answer = await new Metrics(() => [web, server('other', 0, 81)]).answer();
  const labels = {
    namespace: 'shop',
    name: 'web',
    port: 'http',
    protocol: 'TCP',
    virtual_server: '10.96.0.1:80',
  };
  const values = {
    ipvs_connections_active: 5,
    ipvs_connections_inactive: 5,
    ipvs_connections_total: 7,
    ipvs_incoming_packets_total: 70,
    ipvs_outgoing_packets_total: 60,
    ipvs_incoming_bytes_total: 7000,
    ipvs_outgoing_bytes_total: 2 ** 40,
  };
  for (const [name, value] of Object.entries(values)) {
    assert.equal(answer.value(name, labels), value, name);
    assert.equal(answer.labels(name).length, 2, name);
  }
  assert.deepEqual(answer.labels('ipvs_real_server_weight'), [
    { ...labels, real_server: '10.0.0.1:8080' },
    { ...labels, real_server: '10.0.0.2:8080' },
  ]);
  assert.equal(answer.value('ipvs_real_server_weight', { real_server: '10.0.0.1:8080' }), 5);
  assert.equal(answer.value('ipvs_real_server_weight', { real_server: '10.0.0.2:8080' }), 0);
  assert.equal(answer.value('ipvs_connection_table_size'), 4096);
});

test('beyond the limit servers are left out, and those that were told stay', async () => {
  let servers = [server('a'), server('b', 1, 81), server('c', 1, 82)];
  const metrics = new Metrics(() => servers, 4);
  assert.deepEqual(await metrics.told(), ['a b', 1]);
  servers = servers.toReversed();
  assert.deepEqual(await metrics.told(), ['b a', 1]);
  servers = servers.filter(({ name }) => name !== 'a');
  assert.deepEqual(await metrics.told(), ['b c', 0]);
  // One real server more is one series more.
  servers = [server('b', 2, 81), server('c', 1, 82)];
  assert.deepEqual(await metrics.told(), ['b', 1]);
});

test('when IPVS cannot be read the other metrics still are', async () => {
  let isBroken = true;
  const metrics = new Metrics(() => {
    if (isBroken) throw new Error('no kernel');
    return [server('web')];
  });
  const answer = await metrics.answer();
  assert.deepEqual(answer.labels('ipvs_connections_total'), []);
  assert.equal(answer.value('switchyard_ipvs_failures_total'), 1);
  isBroken = false;
  assert.deepEqual(await metrics.told(), ['web', 0]);
});

test('scrapers that ask at the same time share one reading', async () => {
  let readings = 0;
  const metrics = new Metrics(() => {
    readings++;
    return [];
  });
  await Promise.all([metrics.ipvs.text(), metrics.ipvs.text()]);
  assert.equal(readings, 1);
  await metrics.ipvs.text();
  assert.equal(readings, 2);
});

test('missing schedulers are counted by Service, and beyond the limit together', async () => {
  const metrics = new Metrics(() => [], 2);
  for (const name of ['a', 'b', 'a', 'c', 'd'] as const) {
    metrics.ipvs.schedulerMissing(`shop/${name}`);
  }
  const answer = await metrics.answer();
  const counted = ['a', 'b', 'c'].map((name) =>
    answer.value('ipvs_scheduler_errors_total', { namespace: 'shop', name }),
  );
  assert.deepEqual(counted, [2, 1, undefined]);
  assert.equal(answer.value('ipvs_scheduler_errors_total', { namespace: '', name: '' }), 2);
});

test('only the ipvs mode has metrics of IPVS', () => {
  assert.equal(METRICS.filter(isIpvs).length, 12);
  for (const metric of METRICS.filter(isIpvs)) assert.deepEqual(metric.modes, ['ipvs']);
  assert.equal(registeredMetrics('ipvs').filter(isIpvs).length, 4);
  assert.deepEqual(registeredMetrics('nftables').filter(isIpvs), []);
});
