/** LinkSocket against a kernel that has dummy links, and against what ip says of it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Cidr, parseCidr } from '../../../src/core/ip.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { IFF } from '../../../src/kernel/rtnetlink/constants.ts';
import { LinkBatch, type LinkRefusal, LinkSocket } from '../../../src/kernel/rtnetlink/links.ts';
import type { Link } from '../../../src/kernel/rtnetlink/socket.ts';
import { kernelError, shell } from '../../netns/kernel/helpers.ts';
import { address, withIpvs } from './helpers.ts';

const NAME = 'kube-ipvs0';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

withIpvs(import.meta.filename, () => {
  let socket: LinkSocket;
  const run = (fill: (batch: LinkBatch) => void): Promise<readonly LinkRefusal[]> => {
    const batch = new LinkBatch();
    fill(batch);
    return socket.commit(batch);
  };
  /** A dummy link that is up. */
  const dummy = (): Link => {
    socket.addDummy(NAME);
    const link = socket.link(NAME) ?? assert.fail();
    socket.setUp(link);
    return link;
  };
  before(() => {
    socket = LinkSocket.open(openKernelIo());
  });
  after(() => {
    socket.close();
  });
  afterEach(() => {
    shell(`ip link delete ${NAME} 2>/dev/null || true; ip addr flush dev lo`);
  });

  test('a dummy link is made, brought up and deleted', () => {
    assert.equal(socket.link(NAME), undefined);
    socket.addDummy(NAME);
    const link = socket.link(NAME);
    assert.equal(link?.name, NAME);
    assert.equal(link.kind, 'dummy');
    assert.equal(link.flags & IFF.UP, 0);
    assert.match(shell(`ip -d link show ${NAME}`), /state DOWN[^]*\n +dummy/);
    socket.setUp(link);
    socket.setUp(link);
    assert.notEqual((socket.link(NAME)?.flags ?? 0) & IFF.UP, 0);
    assert.match(shell(`ip link show ${NAME}`), /[<,]UP[,>]/);
    socket.deleteLink(NAME);
    assert.equal(socket.link(NAME), undefined);
    assert.equal(socket.link('lo')?.kind, undefined);
  });

  test('what cannot be done is told', () => {
    socket.addDummy(NAME);
    assert.throws(
      () => {
        socket.addDummy(NAME);
      },
      kernelError('SY_KERNEL_EXISTS', /^adding dummy link kube-ipvs0: /),
    );
    assert.throws(
      () => {
        socket.deleteLink('nothing');
      },
      kernelError('SY_KERNEL_NOT_FOUND', /^deleting link nothing: no such network interface/),
    );
    assert.throws(
      () => {
        socket.addDummy('a name too long for it');
      },
      kernelError('SY_KERNEL_ARGUMENT', /1 to 15 bytes/),
    );
  });

  test('local routes are those that ip shows, and packets to them are answered', async () => {
    const link = dummy();
    const refused = await run((batch) => {
      batch.addLocalRoute(link, cidr('10.96.0.1/32'));
      batch.addLocalRoute(link, cidr('10.97.0.0/16'));
      batch.addLocalRoute(link, cidr('fd96::1/128'));
    });
    assert.deepEqual(refused, []);
    assert.equal(
      shell(`ip route show table local dev ${NAME}`).replaceAll(' \n', '\n'),
      'local 10.96.0.1 proto static scope host\nlocal 10.97.0.0/16 proto static scope host\n',
    );
    assert.match(
      shell(`ip -6 route show table local dev ${NAME}`),
      /^local fd96::1 proto static metric 1024/m,
    );
    const ours = socket.localRoutes(link).filter(({ protocol }) => protocol === 4);
    assert.deepEqual(ours, [
      { destination: cidr('10.96.0.1/32'), link: link.index, protocol: 4 },
      { destination: cidr('10.97.0.0/16'), link: link.index, protocol: 4 },
      { destination: cidr('fd96::1/128'), link: link.index, protocol: 4 },
    ]);
    assert.match(shell('ip route get 10.97.3.4'), /^local 10\.97\.3\.4 dev lo/);
    await run((batch) => {
      batch.deleteLocalRoute(link, cidr('10.97.0.0/16'));
      batch.deleteLocalRoute(link, cidr('fd96::1/128'));
    });
    const left = socket.localRoutes(link).filter(({ protocol }) => protocol === 4);
    assert.deepEqual(left, [{ destination: cidr('10.96.0.1/32'), link: link.index, protocol: 4 }]);
  });

  test('addresses are those that ip shows', async () => {
    const link = dummy();
    const refused = await run((batch) => {
      batch.addAddress(link, address('10.96.0.1'));
      batch.addAddress(link, address('10.96.0.2'));
      batch.addAddress(link, address('fd96::1'));
      batch.deleteAddress(link, address('10.96.0.2'));
    });
    assert.deepEqual(refused, []);
    const shown = shell(`ip -o addr show dev ${NAME} scope global`);
    assert.match(shown, /inet 10\.96\.0\.1\/32 scope global/);
    assert.match(shown, /inet6 fd96::1\/128 scope global/);
    assert.doesNotMatch(shown, /10\.96\.0\.2/);
    shell('ip addr add 10.1.2.3/24 dev lo');
    const listed = socket.addresses(link).filter(({ scope }) => scope === 'global');
    assert.deepEqual(
      listed.map((each) => `${each.address}/${each.prefix} ${each.interfaceName}`),
      ['10.96.0.1/32 kube-ipvs0', 'fd96::1/128 kube-ipvs0'],
    );
  });

  test('a local route stands beside the one of an address, once, and stays when that goes', async () => {
    const link = dummy();
    const destinations = [cidr('10.96.0.1/32'), cidr('fd96::1/128')];
    const addRoutes = (batch: LinkBatch): void => {
      for (const destination of destinations) batch.addLocalRoute(link, destination);
    };
    const protocols = (): readonly (readonly number[])[] =>
      destinations.map(({ address: wanted }) =>
        socket
          .localRoutes(link)
          .filter(({ destination }) => destination.address === wanted)
          .map(({ protocol }) => protocol)
          .toSorted((one, other) => one - other),
      );
    const addresses = ['10.96.0.1', '10.96.0.2', 'fd96::1'].map(address);
    await run((batch) => {
      for (const each of addresses) batch.addAddress(link, each);
    });
    for (let times = 0; times < 2; times++) {
      assert.deepEqual(await run(addRoutes), []);
      assert.deepEqual(protocols(), [
        [2, 4],
        [2, 4],
      ]);
    }
    await run((batch) => {
      batch.deleteAddress(link, address('10.96.0.1'));
      batch.deleteAddress(link, address('fd96::1'));
    });
    assert.deepEqual(protocols(), [[4], [4]]);
    await run((batch) => {
      batch.deleteAddress(link, address('10.96.0.2'));
    });
    assert.deepEqual(protocols(), [[], [4]], 'with its last IPv4 address a link loses all');
  });

  test('what is there already, or not there any more, is no refusal; anything else is', async () => {
    const link = dummy();
    const everything = (batch: LinkBatch): void => {
      batch.addLocalRoute(link, cidr('10.96.0.1/32'));
      batch.addLocalRoute(link, cidr('fd96::1/128'));
      batch.addAddress(link, address('10.96.0.2'));
      batch.addAddress(link, address('fd96::2'));
    };
    const nothing = (batch: LinkBatch): void => {
      batch.deleteLocalRoute(link, cidr('10.96.0.1/32'));
      batch.deleteLocalRoute(link, cidr('fd96::1/128'));
      batch.deleteAddress(link, address('10.96.0.2'));
      batch.deleteAddress(link, address('fd96::2'));
    };
    for (const fill of [everything, everything, nothing, nothing]) {
      assert.deepEqual(await run(fill), []);
    }
    socket.deleteLink(NAME);
    const refused = await run(everything);
    assert.deepEqual(
      refused.map(({ error }) => error.message.replace(/; the kernel says: [^.]*/, '')),
      [
        'adding local route 10.96.0.1/32 to link kube-ipvs0: no such network interface (ENODEV)',
        'adding local route fd96::1/128 to link kube-ipvs0: no such network interface (ENODEV)',
        'adding address 10.96.0.2 to link kube-ipvs0: no such network interface (ENODEV)',
        'adding address fd96::2 to link kube-ipvs0: no such network interface (ENODEV)',
      ],
    );
  });

  test('thousands go in one batch', async () => {
    const link = dummy();
    const refused = await run((batch) => {
      for (let at = 0; at < 3000; at++) {
        batch.addLocalRoute(link, cidr(`10.96.${at >> 8}.${at & 255}/32`));
      }
    });
    assert.deepEqual(refused, []);
    assert.equal(socket.localRoutes(link).filter(({ protocol }) => protocol === 4).length, 3000);
  });
});
