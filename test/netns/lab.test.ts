/** The lab itself: its hosts reach each other, its servers tell the truth, and nothing of it stays behind. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { Lab, labReason } from '../lab/lab.ts';
import {
  clientAddress,
  crowdAddress,
  crowdPort,
  hostNames,
  nodeAddress,
  otherClientAddress,
  serverNames,
  servers,
} from '../lab/topology.ts';

const skip = labReason() ?? false;
const families = ['IPv4', 'IPv6'] as const;
const expectedSource = {
  client: clientAddress,
  node: nodeAddress,
  'pod-a': servers['pod-a'].address,
  'pod-b': servers['pod-b'].address,
  peer: { IPv4: '10.1.0.2', IPv6: 'fd00:1::2' },
} as const;

/** Rules that send TCP and UDP port 80 of one address per family to `pod-c`, as a proxy would. */
const dnatRules = ['ip', 'ip6']
  .map((table) => {
    const [vip, pod] =
      table === 'ip'
        ? ['10.96.0.1', servers['pod-c'].address.IPv4]
        : ['fd00:96::1', `[${servers['pod-c'].address.IPv6}]`];
    const rule = (l4: string): string => `${table} daddr ${vip} ${l4} dport 80 dnat to ${pod}:8080`;
    return `table ${table} lab-test {
      chain pre { type nat hook prerouting priority -100; ${rule('tcp')}; ${rule('udp')}; }
      chain out { type nat hook output priority -100; ${rule('tcp')}; ${rule('udp')}; }
    }`;
  })
  .join('\n');

function namespacesContaining(text: string): readonly string[] {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(text));
}

/** Starts a process that holds a lab open, and resolves to it when the lab stands. */
async function labInAnotherProcess() {
  const script = `
    const { Lab } = await import(${JSON.stringify(new URL('../lab/lab.ts', import.meta.url).href)});
    await Lab.open();
    console.log('open');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('the lab', { skip }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open();
  });
  after(() => lab.close());

  for (const family of families) {
    test(`every host reaches every server over ${family}, and is seen with its own address`, async () => {
      for (const from of hostNames) {
        for (const name of serverNames) {
          // A host's own addresses talk to each other; the peer's servers are such addresses.
          if (servers[name].host === from) continue;
          const address = servers[name].address[family];
          for (const protocol of ['TCP', 'UDP'] as const) {
            const [result] = await lab
              .host(from)
              .probe(protocol, { address, port: 8080, timeoutMs: 5000 });
            const path = `${protocol} ${from} -> ${name}`;
            assert.equal(result?.ok, true, path);
            assert.equal(result.server, name, path);
            assert.equal(result.peer, expectedSource[from][family], path);
            assert.equal(result.local, address, path);
            assert.equal(result.localPort, 8080, path);
          }
        }
      }
    });

    test(`a DNAT rule on the node decides for client, pod and node over ${family}`, async () => {
      lab.run('node', 'nft', ['-f', '-'], dnatRules);
      try {
        const address = family === 'IPv4' ? '10.96.0.1' : 'fd00:96::1';
        for (const from of ['client', 'pod-a', 'node'] as const) {
          for (const protocol of ['TCP', 'UDP'] as const) {
            const results = await lab
              .host(from)
              .probe(protocol, { address, port: 80, timeoutMs: 5000, count: 10, parallel: 5 });
            assert.equal(results.length, 10);
            for (const result of results) {
              assert.equal(result.ok && result.server, 'pod-c', `${protocol} from ${from}`);
              assert.equal(result.ok && result.peer, expectedSource[from][family]);
            }
          }
        }
      } finally {
        lab.run('node', 'nft', ['flush', 'ruleset']);
      }
    });

    test(`a virtual address without a rule is silent, a closed port refuses, over ${family}`, async () => {
      const vip = family === 'IPv4' ? '10.96.0.9' : 'fd00:96::9';
      for (const protocol of ['TCP', 'UDP'] as const) {
        for (const from of ['client', 'node', 'pod-a'] as const) {
          const probe = async (address: string, port: number) => {
            const [result] = await lab
              .host(from)
              .probe(protocol, { address, port, timeoutMs: 200 });
            return result?.ok === false ? result.error : 'answered';
          };
          assert.equal(await probe(vip, 80), 'timeout', `${protocol} ${from}`);
          const closed = servers['pod-b'].address[family];
          assert.equal(await probe(closed, 8079), 'refused', `${protocol} ${from}`);
        }
      }
    });

    test(`source address and port can be chosen over ${family}`, async () => {
      for (const protocol of ['TCP', 'UDP'] as const) {
        const [result] = await lab.host('client').probe(protocol, {
          address: servers['pod-d'].address[family],
          port: 8081,
          timeoutMs: 5000,
          sourceAddress: otherClientAddress[family],
          sourcePort: 23456,
        });
        assert.equal(result?.ok, true);
        assert.equal(result.peer, otherClientAddress[family]);
        assert.equal(result.peerPort, 23456);
      }
    });

    test(`every address of the crowd answers over ${family}`, async () => {
      for (const index of [0, 254, 255, 999, 3999]) {
        const address = crowdAddress(family, index);
        const [result] = await lab
          .host('pod-a')
          .probe('TCP', { address, port: crowdPort, timeoutMs: 5000 });
        assert.equal(result?.ok && result.local, address);
      }
    });
  }

  test('servers listen and stop listening when told, and cut their connections', async () => {
    const address = servers['pod-a'].address.IPv4;
    const probe = async () => {
      const [result] = await lab
        .host('client')
        .probe('TCP', { address, port: 9999, timeoutMs: 5000 });
      return result?.ok === true ? result.server : result?.error;
    };
    assert.equal(await probe(), 'refused');
    await lab.setListening('pod-a', true, 'TCP', [9999]);
    assert.equal(await probe(), 'pod-a');
    const kept = await lab.host('client').open(address, 9999);
    assert.equal(await kept.echoes('one'), true);
    await lab.setListening('pod-a', false, 'TCP', [9999]);
    assert.equal(await kept.echoes('two'), false);
    assert.equal(await probe(), 'refused');
    await kept.close();
  });

  test('a probe loop counts answers and failures', async () => {
    await lab.setListening('pod-b', true, 'TCP', [9998]);
    const address = servers['pod-b'].address.IPv6;
    const end = await lab
      .host('client')
      .loop('TCP', { address, port: 9998, timeoutMs: 5000, pauseMs: 1 });
    await lab.setListening('pod-b', false, 'TCP', [9998]);
    await lab.host('client').probe('TCP', { address, port: 9998, timeoutMs: 5000, count: 50 });
    const report = await end();
    assert.ok((report.servers['pod-b'] ?? 0) > 0);
    assert.ok((report.failures['refused'] ?? 0) > 0);
    const counted = [...Object.values(report.servers), ...Object.values(report.failures)];
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      report.probes,
    );
  });
});

describe('what a lab leaves behind', { skip }, () => {
  test('nothing when it is closed', async () => {
    const lab = await Lab.open();
    const namespaces = hostNames.map((host) => lab.namespace(host));
    assert.equal(namespaces.flatMap(namespacesContaining).length, hostNames.length);
    await lab.close();
    assert.deepEqual(namespaces.flatMap(namespacesContaining), []);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`nothing when its process ends by ${signal}`, async () => {
      const child = await labInAnotherProcess();
      const mark = `switchyard-lab-${child.pid}-`;
      assert.equal(namespacesContaining(mark).length, hostNames.length);
      child.kill(signal);
      const [code, endedBy] = (await once(child, 'exit')) as unknown[];
      assert.deepEqual([code, endedBy], [null, signal]);
      assert.deepEqual(namespacesContaining(mark), []);
    });
  }

  test('nothing after the next lab when its process was killed outright', async () => {
    const child = await labInAnotherProcess();
    const mark = `switchyard-lab-${child.pid}-`;
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(namespacesContaining(mark).length, hostNames.length);
    const next = await Lab.open();
    await next.close();
    assert.deepEqual(namespacesContaining(mark), []);
  });
});
