/** IpvsSocket against a real IPVS, and against what ipvsadm says of it. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readConnections } from '../../../src/kernel/ipvs/connections.ts';
import {
  SCHEDULER_FLAGS,
  type RealServer,
  type Scheduling,
  type VirtualAddress,
} from '../../../src/kernel/ipvs/servers.ts';
import { IpvsBatch, type IpvsRefusal, IpvsSocket } from '../../../src/kernel/ipvs/socket.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { kernelError, shell } from '../../netns/kernel/helpers.ts';
import { address, all, withIpvs } from './helpers.ts';

const scheduling: Scheduling = {
  scheduler: 'rr',
  schedulerFlags: 0,
  onePacket: false,
  persistence: undefined,
  persistenceEngine: undefined,
};

const web: VirtualAddress = { protocol: 'TCP', address: address('10.96.0.1'), port: 80 };
const web6: VirtualAddress = { protocol: 'TCP', address: address('fd96::1'), port: 80 };
const dns: VirtualAddress = { protocol: 'UDP', address: address('10.96.0.2'), port: 53 };
const sctp: VirtualAddress = { protocol: 'SCTP', address: address('10.96.0.1'), port: 9 };

function real(text: string, port: number, more: Partial<RealServer> = {}): RealServer {
  return {
    address: address(text),
    port,
    forwarding: 'masquerade',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...more,
  };
}

/** What ipvsadm would have to be told to make what is there. */
function saved(): string[] {
  return shell('ipvsadm -Sn').trim().split('\n').filter(Boolean).toSorted();
}

withIpvs(import.meta.filename, () => {
  let socket: IpvsSocket;
  const run = (fill: (batch: IpvsBatch) => void): Promise<readonly IpvsRefusal[]> => {
    const batch = new IpvsBatch();
    fill(batch);
    return socket.commit(batch);
  };
  before(() => {
    socket = IpvsSocket.open(openKernelIo());
  });
  after(() => {
    socket.close();
  });
  afterEach(() => {
    shell('ipvsadm -C');
  });

  test('tells version and table size as ipvsadm does', () => {
    const { version, connectionTableSize } = socket.info();
    const expected = `IP Virtual Server version ${version} (size=${connectionTableSize})`;
    assert.equal(shell('ipvsadm -Ln').split('\n')[0], expected);
  });

  test('sets the timeouts it is told and leaves the others', () => {
    socket.setTimeouts({ tcp: 901, tcpFin: 121, udp: 301 });
    assert.match(shell('ipvsadm -L --timeout'), /tcp tcpfin udp\): 901 121 301/);
    socket.setTimeouts({ udp: 302 });
    assert.deepEqual(socket.timeouts(), { tcp: 901, tcpFin: 121, udp: 302 });
    assert.throws(
      () => {
        socket.setTimeouts({ tcp: 0xffff_ffff });
      },
      kernelError('SY_KERNEL_CALL', /^setting IPVS timeouts: .*EINVAL/),
    );
  });

  describe('Virtual and real servers', () => {
    test('are made as ipvsadm would make them', async () => {
      const refused = await run((batch) => {
        batch.addVirtual(web, scheduling);
        batch.addVirtual(dns, {
          ...scheduling,
          scheduler: 'sh',
          schedulerFlags: SCHEDULER_FLAGS['sh-port'],
          onePacket: true,
        });
        batch.addVirtual(sctp, {
          ...scheduling,
          scheduler: 'mh',
          schedulerFlags: SCHEDULER_FLAGS['mh-fallback'] | SCHEDULER_FLAGS['mh-port'],
          persistence: { seconds: 10_800, prefix: 24 },
        });
        batch.addVirtual(web6, { ...scheduling, persistence: { seconds: 60, prefix: 64 } });
        batch.addReal(web, real('10.128.0.1', 8080));
        batch.addReal(
          web,
          real('10.128.0.2', 80, {
            forwarding: 'route',
            weight: 5,
            upperThreshold: 9,
            lowerThreshold: 3,
          }),
        );
        batch.addReal(web6, real('fd01::1', 8080, { weight: 0 }));
        batch.addReal(sctp, real('10.128.0.3', 9, { weight: 65_535 }));
      });
      assert.deepEqual(refused, []);
      assert.deepEqual(saved(), [
        '-A --sctp-service 10.96.0.1:9 -s mh -p 10800 -M 255.255.255.0 -b mh-fallback,mh-port',
        '-A -t 10.96.0.1:80 -s rr',
        '-A -t [fd96::1]:80 -s rr -p 60 -M 64',
        '-A -u 10.96.0.2:53 -s sh -o -b sh-port',
        '-a --sctp-service 10.96.0.1:9 -r 10.128.0.3:9 -m -w 65535',
        '-a -t 10.96.0.1:80 -r 10.128.0.1:8080 -m -w 1',
        '-a -t 10.96.0.1:80 -r 10.128.0.2:80 -g -w 5',
        '-a -t [fd96::1]:80 -r [fd01::1]:8080 -m -w 0',
      ]);
      assert.match(shell('ipvsadm -Ln --thresholds'), /10\.128\.0\.2:80 +9 +3 /);
    });

    test('change and go away one by one', async () => {
      await run((batch) => {
        batch.addVirtual(web, scheduling);
        batch.addVirtual(dns, scheduling);
        batch.addReal(web, real('10.128.0.1', 8080));
        batch.addReal(web, real('10.128.0.2', 8080));
        batch.addReal(dns, real('10.128.0.1', 53));
      });
      const refused = await run((batch) => {
        batch.setVirtual(web, { ...scheduling, scheduler: 'wlc' });
        batch.setReal(web, real('10.128.0.1', 8080, { weight: 7 }));
        batch.deleteReal(web, real('10.128.0.2', 8080));
        batch.deleteVirtual(dns);
      });
      assert.deepEqual(refused, []);
      assert.deepEqual(saved(), [
        '-A -t 10.96.0.1:80 -s wlc',
        '-a -t 10.96.0.1:80 -r 10.128.0.1:8080 -m -w 7',
      ]);
    });

    test('are listed as ipvsadm made them', async () => {
      shell(`ipvsadm -A -t 10.96.0.1:80 -s mh -b mh-port -p 60 -M 255.255.0.0
        ipvsadm -a -t 10.96.0.1:80 -r 10.128.0.2:80 -i -w 5 -x 9 -y 3
        ipvsadm -A -u '[fd96::1]:53' -s rr -o
        ipvsadm -a -u '[fd96::1]:53' -r '[fd01::1]:53' -m
        ipvsadm -A -u 10.96.0.3:5060 -s rr -p 60 --pe sip
        ipvsadm -A -f 7 -s wlc
        ipvsadm -a -f 7 -r 10.128.0.9 -g`);
      const listed = await all(socket.servers());
      const found = new Map(listed.map((server) => [JSON.stringify(server.name), server]));
      const get = (name: object): (typeof listed)[number] => {
        const server = found.get(JSON.stringify(name));
        assert.ok(server !== undefined, `${JSON.stringify(name)} in ${[...found.keys()].join()}`);
        return server;
      };
      assert.equal(listed.length, 4);
      const mh = get(web);
      assert.deepEqual(mh.scheduling, {
        ...scheduling,
        scheduler: 'mh',
        schedulerFlags: SCHEDULER_FLAGS['mh-port'],
        persistence: { seconds: 60, prefix: 16 },
      });
      assert.equal(mh.realServers.length, 1);
      const { stats, activeConnections, inactiveConnections, persistentConnections, ...server } =
        mh.realServers[0] ?? assert.fail();
      const limits = { weight: 5, upperThreshold: 9, lowerThreshold: 3 };
      const expected = real('10.128.0.2', 80, { forwarding: 'tunnel', ...limits });
      assert.deepEqual(server, expected);
      assert.deepEqual([activeConnections, inactiveConnections, persistentConnections], [0, 0, 0]);
      assert.equal(stats.connections, 0);
      const dns6 = get({ protocol: 'UDP', address: 'fd96::1', port: 53 });
      assert.equal(dns6.scheduling.onePacket, true);
      assert.equal(dns6.realServers[0]?.address, 'fd01::1');
      const sip = get({ protocol: 'UDP', address: '10.96.0.3', port: 5060 });
      assert.equal(sip.scheduling.persistenceEngine, 'sip');
      assert.deepEqual(sip.realServers, []);
      const mark = get({ mark: 7, family: 'IPv4' });
      assert.deepEqual(
        mark.realServers.map((each) => [each.address, each.forwarding]),
        [['10.128.0.9', 'route']],
      );
      assert.deepEqual(socket.virtualServer(web)?.scheduling, mh.scheduling);
      assert.equal(socket.virtualServer({ ...web, port: 81 }), undefined);
      assert.deepEqual(socket.realServers({ ...web, port: 81 }), []);
    });
  });

  describe('Refused commands', () => {
    test('are named, with the reason; the others of the batch take effect', async () => {
      const other = { ...web, port: 81 };
      const refused = await run((batch) => {
        batch.addVirtual(web, scheduling);
        batch.addVirtual(web, scheduling);
        batch.addVirtual(other, { ...scheduling, scheduler: 'nonesuch' });
        batch.setVirtual(web, { ...scheduling, scheduler: 'nonesuch' });
        batch.addReal(other, real('10.128.0.1', 80));
        batch.addReal(web, real('10.128.0.1', 80, { upperThreshold: 1, lowerThreshold: 2 }));
        batch.setReal(web, real('10.128.0.1', 80));
        batch.deleteVirtual(dns);
        batch.addReal(web, real('10.128.0.1', 80));
        batch.addReal(web, real('10.128.0.1', 80));
      });
      assert.deepEqual(
        refused.map(({ error }) => [error.code, error.message]),
        [
          ['SY_KERNEL_EXISTS', 'adding virtual server TCP 10.96.0.1:80: exists already (EEXIST)'],
          [
            'SY_KERNEL_NO_SCHEDULER',
            'adding virtual server TCP 10.96.0.1:81: this kernel has no scheduler nonesuch (ENOENT). Load the module ip_vs_nonesuch, or choose another scheduler.',
          ],
          [
            'SY_KERNEL_NO_SCHEDULER',
            'changing virtual server TCP 10.96.0.1:80: this kernel has no scheduler nonesuch (ENOENT). Load the module ip_vs_nonesuch, or choose another scheduler.',
          ],
          [
            'SY_KERNEL_NOT_FOUND',
            'adding real server 10.128.0.1:80 of virtual server TCP 10.96.0.1:81: no such virtual server (ESRCH)',
          ],
          [
            'SY_KERNEL_CALL',
            'adding real server 10.128.0.1:80 of virtual server TCP 10.96.0.1:80: value out of range (ERANGE)',
          ],
          [
            'SY_KERNEL_NOT_FOUND',
            'changing real server 10.128.0.1:80 of virtual server TCP 10.96.0.1:80: not found (ENOENT)',
          ],
          [
            'SY_KERNEL_NOT_FOUND',
            'deleting virtual server UDP 10.96.0.2:53: no such virtual server (ESRCH)',
          ],
          [
            'SY_KERNEL_EXISTS',
            'adding real server 10.128.0.1:80 of virtual server TCP 10.96.0.1:80: exists already (EEXIST)',
          ],
        ],
      );
      assert.deepEqual(saved(), [
        '-A -t 10.96.0.1:80 -s rr',
        '-a -t 10.96.0.1:80 -r 10.128.0.1:80 -m -w 1',
      ]);
    });

    test('for an address that no server can have say so', async () => {
      const refused = await run((batch) => {
        batch.addVirtual(web, scheduling);
        batch.addReal(web, real('224.0.0.1', 80));
      });
      assert.deepEqual(
        refused.map(({ error }) => error.message.split('.').at(-2)),
        [
          ' In a network namespace whose loopback interface was never up, it does so with every address: ip link set lo up',
        ],
      );
    });

    test('are all told, however many', async () => {
      const refused = await run((batch) => {
        for (let port = 1; port <= 1000; port++) batch.deleteVirtual({ ...web, port });
      });
      assert.equal(refused.length, 1000);
      assert.deepEqual(refused[999]?.command.virtual, { ...web, port: 1000 });
    });
  });

  test('every scheduler of this kernel can be set', async () => {
    const names = 'rr wrr lc wlc lblc lblcr sh dh sed nq fo ovf mh'.split(' ');
    const refused = await run((batch) => {
      for (const [port, scheduler] of names.entries()) {
        batch.addVirtual({ ...web, port: port + 1 }, { ...scheduling, scheduler });
      }
    });
    assert.deepEqual(refused, []);
    const listed = await socket.virtualServers();
    assert.deepEqual(
      listed.map((server) => server.scheduling.scheduler).toSorted(),
      names.toSorted(),
    );
  });

  describe('With traffic', () => {
    before(() => {
      shell('ip addr add 10.96.0.2/32 dev lo; ip addr add fd96::2/128 dev lo nodad');
    });

    test('counters and connections are those that ipvsadm tells', async () => {
      const sticky = { seconds: 600, prefix: 32 };
      const dns6 = { ...dns, address: address('fd96::2') };
      await run((batch) => {
        batch.addVirtual(dns, { ...scheduling, persistence: sticky });
        batch.addReal(dns, real('127.0.0.1', 5353));
        batch.addVirtual(dns6, scheduling);
        batch.addReal(dns6, real('::1', 5353));
      });
      for (const to of [dns, dns6]) await sendTo(to, 'hello');
      // The kernel brings counters up to date every two seconds, and tells nobody.
      const deadline = Date.now() + 20_000;
      const isCounted = (to: VirtualAddress): boolean =>
        socket.realServers(to)[0]?.stats.connections === 1;
      while (!(isCounted(dns) && isCounted(dns6)) && Date.now() < deadline) await setTimeout(100);
      const [counted] = socket.realServers(dns);
      assert.equal(counted?.stats.connections, 1);
      assert.equal(counted.stats.inPackets, 1);
      assert.equal(counted.stats.inBytes, 20 + 8 + 5);
      assert.equal(counted.inactiveConnections, 1);
      const { stats } = counted;
      // The answer that nobody listens there is the one packet out.
      const columns = [1, 1, stats.outPackets, 33, stats.outBytes].join(' +');
      const line = new RegExp(` -> 127\\.0\\.0\\.1:5353 +${columns}\n`);
      assert.match(shell('ipvsadm -Ln --stats --exact'), line);
      assert.equal(socket.virtualServer(dns)?.stats.inBytes, 33);

      const connections = await all(readConnections());
      const told = connections.map(
        ({ protocol, client, virtual, virtualPort, real: server, realPort, state, isTemplate }) =>
          `${protocol} ${client} ${virtual} ${virtualPort} ${server} ${realPort} ${state} ${isTemplate}`,
      );
      assert.deepEqual(told.toSorted(), [
        'UDP 10.96.0.2 10.96.0.2 53 127.0.0.1 5353 NONE true',
        'UDP 10.96.0.2 10.96.0.2 53 127.0.0.1 5353 UDP false',
        'UDP fd96::2 fd96::2 53 ::1 5353 UDP false',
      ]);

      await run((batch) => {
        batch.zero(dns);
      });
      assert.equal(socket.virtualServer(dns)?.stats.inBytes, 0);
      assert.notEqual(socket.virtualServer(dns6)?.stats.inBytes, 0);
      socket.zero();
      assert.equal(socket.virtualServer(dns6)?.stats.inBytes, 0);
    });
  });

  test('changes go through while a listing is under way', async () => {
    await run((batch) => {
      for (let port = 1; port <= 500; port++) batch.addVirtual({ ...web, port }, scheduling);
    });
    const [listed, again, refused] = await Promise.all([
      socket.virtualServers(),
      socket.virtualServers(),
      run((batch) => {
        for (let port = 501; port <= 1000; port++) batch.addVirtual({ ...web, port }, scheduling);
      }),
    ]);
    assert.deepEqual(refused, []);
    assert.ok(listed.length >= 500 && again.length >= 500);
    assert.equal((await socket.virtualServers()).length, 1000);
  });

  test('a closed socket says so, in the middle of a batch as well', async () => {
    const mine = IpvsSocket.open(openKernelIo());
    mine.close();
    mine.close();
    assert.throws(() => mine.info(), kernelError('SY_KERNEL_CLOSED'));
    await assert.rejects(mine.virtualServers(), kernelError('SY_KERNEL_CLOSED'));
  });
});

/** Sends one datagram. */
async function sendTo({ address: to, port }: VirtualAddress, text: string): Promise<void> {
  const client = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      client.send(text, port, to, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  } finally {
    client.close();
  }
}
