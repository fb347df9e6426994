/**
 * The stand-in API server as a process of its own, for benchmarks and for trying things out.
 *
 *     node src/testing/api-server-main.ts --services 10000 --endpoints 10 --tls --kubeconfig kubeconfig.json
 *
 * Takes commands on standard input, one a line, and answers each with one line of JSON on standard output. The first line tells that
 * it listens. It ends with `quit` or with the end of its input.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { type ApiServer, startApiServer } from './api-server.ts';
import { createAuthority } from './certificates.ts';
import { Churn } from './churn.ts';
import { makeEndpointSlices, makeNode, makeServices } from './cluster.ts';
import type { TlsOptions } from './connections.ts';
import { TestingError } from './errors.ts';
import type { JsonObject } from './json.ts';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    /** Port to listen on; a free one when it is 0. */
    port: { type: 'string', default: '0' },
    services: { type: 'string', default: '0' },
    endpoints: { type: 'string', default: '10' },
    /** A Node of this name and address. */
    node: { type: 'string', default: 'node-0' },
    'node-ip': { type: 'string', default: '192.0.2.1' },
    tls: { type: 'boolean', default: false },
    token: { type: 'string' },
    /** Content type to encode everything in before it listens: `json` or `protobuf`. */
    warm: { type: 'string', multiple: true, default: [] },
    /** File to write a kubeconfig into. */
    kubeconfig: { type: 'string' },
    /** Changes a second from the beginning. */
    churn: { type: 'string', default: '0' },
    /** Tell of each change on standard output. */
    'report-changes': { type: 'boolean', default: false },
  },
});

function number(name: string, text: string | undefined): number {
  const value = Number(text ?? '');
  if (text !== undefined && text !== '' && value >= 0) return value;
  const message = `${name} cannot be "${text ?? ''}": give a number, 0 or more.`;
  throw new TestingError('SY_TESTING_BAD_OPTION', message);
}

function say(line: JsonObject): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function selfMadeTls(host: string): TlsOptions {
  const authority = createAuthority();
  const hosts = ['127.0.0.1', '::1', 'localhost', host];
  const own = authority.issue({ commonName: 'kube-apiserver', hosts });
  return { ...own, authority: authority.certificate };
}

/** Carries out one command; returns what there is to say. */
async function run(server: ApiServer, churn: Churn, line: string): Promise<JsonObject> {
  const [command = '', argument] = line.trim().split(/\s+/);
  switch (command) {
    case 'churn':
      churn.setRate(number('churn', argument));
      break;
    case 'change':
      for (let count = number('change', argument ?? '1'); count > 0; count--) churn.change();
      break;
    case 'compact':
      server.compact();
      break;
    case 'drop':
      server.dropConnections();
      break;
    case 'refuse':
      await server.refuseConnections();
      break;
    case 'accept':
      await server.acceptConnections();
      break;
    case 'stats':
      break;
    default: {
      const message = `There is no command "${command}": there are churn, change, compact, drop, refuse, accept, stats and quit.`;
      throw new TestingError('SY_TESTING_BAD_OPTION', message);
    }
  }
  const { rss } = process.memoryUsage();
  const { revision, requests, watches } = server;
  return {
    event: 'done',
    command,
    revision,
    requests: requests.length,
    watches: watches.length,
    rss,
  };
}

async function main(): Promise<void> {
  await using server = await startApiServer({
    host: values.host,
    port: number('--port', values.port),
    ...(values.tls ? { tls: selfMadeTls(values.host) } : {}),
    ...(values.token === undefined ? {} : { token: values.token }),
  });
  const size = {
    services: number('--services', values.services),
    endpoints: number('--endpoints', values.endpoints),
  };
  server.load('Node', [makeNode(values.node, values['node-ip'])]);
  server.load('Service', makeServices(size));
  server.load('EndpointSlice', makeEndpointSlices(size));
  for (const media of values.warm) server.encodeAhead(media === 'json' ? 'json' : 'protobuf');
  if (values.kubeconfig !== undefined) {
    writeFileSync(values.kubeconfig, server.kubeconfig(), { mode: 0o600 });
  }
  using churn = new Churn(server, (change) => {
    if (values['report-changes']) say({ event: 'changed', ...change });
  });
  churn.setRate(number('--churn', values.churn));
  say({ event: 'listening', url: server.url, revision: server.revision });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === 'quit') break;
    try {
      say(await run(server, churn, line));
    } catch (error) {
      if (!(error instanceof TestingError)) throw error;
      say({ event: 'refused', message: error.message });
    }
  }
  // An open pipe would keep the process alive.
  process.stdin.destroy();
}

await main();
