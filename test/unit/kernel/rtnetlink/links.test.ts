/** What LinkSocket says, against ip(8), and what it makes of a made-up kernel's answers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Address,
  type Cidr,
  type Family,
  parseAddress,
  parseCidr,
  unpackAddress,
} from '../../../../src/core/ip.ts';
import { isKernelError } from '../../../../src/kernel/errors.ts';
import { NLM_F } from '../../../../src/kernel/netlink/constants.ts';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.ts';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.ts';
import { IFF, RTM } from '../../../../src/kernel/rtnetlink/constants.ts';
import { LinkBatch, LinkSocket } from '../../../../src/kernel/rtnetlink/links.ts';
import { readLink } from '../../../../src/kernel/rtnetlink/messages.ts';
import { readLocalRoute, writeLocalRoute } from '../../../../src/kernel/rtnetlink/routes.ts';
import type { Link } from '../../../../src/kernel/rtnetlink/socket.ts';
import { capturedOfType, cursor, survivesDamage, without } from '../captured-messages.ts';
import { type Answer, type Script, ScriptedIo, acknowledgement, done } from '../scripted-io.ts';

const EPERM = 1;
const ESRCH = 3;
const EEXIST = 17;
const ENODEV = 19;
const EOPNOTSUPP = 95;
const EADDRNOTAVAIL = 99;

/** The link of the captures. */
const dummy: Link = { index: 2, name: 'kube-ipvs0', flags: IFF.UP, kind: 'dummy' };

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

/** A kernel that does what it is told, unless `errno` says otherwise for a message. */
function open(errno: (index: number) => number = () => 0): { io: ScriptedIo; socket: LinkSocket } {
  return openScript({
    answer: (_, bytes) => {
      const requests = new MessageCursor(bytes);
      const answers: Answer[] = [];
      for (let index = 0; requests.next(); index++) {
        answers.push(acknowledgement(requests.sequence, errno(index)));
      }
      return answers;
    },
  });
}

function openScript(script: Script): { io: ScriptedIo; socket: LinkSocket } {
  const io = new ScriptedIo(script);
  return { io, socket: LinkSocket.open(io) };
}

/** What is sent for one command. */
async function sent(fill: (batch: LinkBatch) => void): Promise<Buffer> {
  const { io, socket } = open();
  const batch = new LinkBatch();
  fill(batch);
  assert.deepEqual(await socket.commit(batch), []);
  return io.sent.at(-1) ?? assert.fail();
}

function assertSame(ours: Buffer, theirs: Buffer | undefined): void {
  assert.ok(theirs !== undefined);
  assert.deepEqual(ours, without(theirs, ours.readUInt32LE(8), ours.length - 16));
}

/** What `ip route append` says, of what `ip route add` does. */
function appended(bytes: Buffer | undefined): Buffer | undefined {
  if (bytes === undefined) return undefined;
  const copy = Buffer.from(bytes);
  copy.writeUInt16LE(NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE | NLM_F.APPEND, 6);
  return copy;
}

/** What ip says, by message type. */
function ip(type: number): Buffer[] {
  return capturedOfType('links', '>', type);
}

describe('Changes are those of ip:', () => {
  test('link add type dummy, but for the way the kind is packed', () => {
    const { io, socket } = open();
    socket.addDummy('kube-ipvs0');
    const ours = io.sent.at(-1) ?? assert.fail();
    const theirs =
      ip(RTM.NEWLINK).find((bytes) => (bytes.readUInt16LE(6) & NLM_F.CREATE) !== 0) ??
      assert.fail();
    assert.equal(ours.readUInt16LE(6), theirs.readUInt16LE(6));
    assert.deepEqual(readLink(cursor(ours)), readLink(cursor(theirs)));
    assert.equal(readLink(cursor(ours)).kind, 'dummy');
  });

  test('link set up', () => {
    const { io, socket } = open();
    socket.setUp(dummy);
    const theirs = ip(RTM.NEWLINK).find((bytes) => bytes.readUInt32LE(20) === dummy.index);
    assertSame(io.sent.at(-1) ?? assert.fail(), theirs);
  });

  test('link del, which ip says by number', () => {
    const { io, socket } = open();
    socket.deleteLink('kube-ipvs0');
    const ours = new MessageCursor(io.sent.at(-1) ?? assert.fail());
    assert.ok(ours.next());
    assert.equal(ours.type, RTM.DELLINK);
    assert.equal(readLink(ours).name, 'kube-ipvs0');
  });

  const batches: readonly (readonly [string, number, number, (batch: LinkBatch) => void])[] = [
    [
      'addr add',
      RTM.NEWADDR,
      0,
      (batch): void => {
        batch.addAddress(dummy, address('10.96.0.1'));
      },
    ],
    [
      'addr add, IPv6',
      RTM.NEWADDR,
      1,
      (batch): void => {
        batch.addAddress(dummy, address('fd96::1'));
      },
    ],
    [
      'addr del',
      RTM.DELADDR,
      0,
      (batch): void => {
        batch.deleteAddress(dummy, address('10.96.0.1'));
      },
    ],
    [
      'route add local, IPv6',
      RTM.NEWROUTE,
      1,
      (batch): void => {
        batch.addLocalRoute(dummy, cidr('fd96::2/128'));
      },
    ],
    [
      'route del local',
      RTM.DELROUTE,
      0,
      (batch): void => {
        batch.deleteLocalRoute(dummy, cidr('10.96.0.2/32'));
      },
    ],
    [
      'route del local, IPv6',
      RTM.DELROUTE,
      1,
      (batch): void => {
        batch.deleteLocalRoute(dummy, cidr('fd96::2/128'));
      },
    ],
  ];
  for (const [name, type, index, fill] of batches) {
    test(name, async () => {
      assertSame(await sent(fill), ip(type)[index]);
    });
  }

  const appends = [
    ['route append local', 0, '10.96.0.2/32'],
    ['route append local, a network', 2, '10.97.0.0/16'],
  ] as const;
  for (const [name, index, destination] of appends) {
    test(name, async () => {
      const ours = await sent((batch) => {
        batch.addLocalRoute(dummy, cidr(destination));
      });
      assertSame(ours, appended(ip(RTM.NEWROUTE)[index]));
    });
  }
});

describe('Listings of the kernel', () => {
  test('tell the kind of a link', () => {
    const kinds = capturedOfType('links-listing', '<', RTM.NEWLINK).map((bytes) => {
      const { name, kind } = readLink(cursor(bytes));
      return `${name} ${kind}`;
    });
    assert.deepEqual(new Set(kinds), new Set(['lo undefined', 'kube-ipvs0 dummy']));
  });

  test('tell local routes, and not broadcast and multicast ones', () => {
    const routes = capturedOfType('links-listing', '<', RTM.NEWROUTE)
      .map((bytes) => readLocalRoute(cursor(bytes)))
      .filter((route) => route?.link === dummy.index && route.protocol === 4);
    assert.deepEqual(routes, [
      { destination: cidr('10.96.0.2/32'), link: 2, protocol: 4 },
      { destination: cidr('10.97.0.0/16'), link: 2, protocol: 4 },
      { destination: cidr('fd96::2/128'), link: 2, protocol: 4 },
    ]);
    const others = capturedOfType('links-listing', '<', RTM.NEWROUTE).filter(
      (bytes) => readLocalRoute(cursor(bytes)) === undefined,
    );
    assert.ok(others.length > 0);
  });

  test('give MALFORMED or values when damaged, never anything else', () => {
    const routes = capturedOfType('links-listing', '<', RTM.NEWROUTE);
    const links = capturedOfType('links-listing', '<', RTM.NEWLINK);
    survivesDamage(routes, readLocalRoute);
    survivesDamage(links, readLink);
  });

  test('are cut to the link where the kernel does not do it', () => {
    const { socket } = openScript({
      answer: ({ sequence }) => [
        ...capturedOfType('links-listing', '<', RTM.NEWROUTE).map((bytes) => {
          const copy = Buffer.from(bytes);
          copy.writeUInt32LE(sequence, 8);
          return copy;
        }),
        done(sequence),
      ],
    });
    const found = socket.localRoutes(dummy);
    assert.ok(found.length > 3);
    assert.ok(found.every(({ link }) => link === dummy.index));
    assert.ok(socket.localRoutes({ ...dummy, index: 1 }).length > 0);
    assert.deepEqual(socket.localRoutes({ ...dummy, index: 99 }), []);
  });
});

/** Networks, with host bits as they come. */
function anyNetwork(length: 4 | 16, family: Family): fc.Arbitrary<Cidr> {
  return fc
    .tuple(
      fc.uint8Array({ minLength: length, maxLength: length }),
      fc.integer({ min: 0, max: length * 8 }),
    )
    .map(([bytes, prefix]) => ({ family, address: unpackAddress(bytes, 0, family), prefix }));
}

test('local routes are read as they were written', () => {
  const anyCidr = fc.oneof(anyNetwork(4, 'IPv4'), anyNetwork(16, 'IPv6'));
  fc.assert(
    fc.property(anyCidr, fc.integer({ min: 1, max: 0xffff }), (destination, link) => {
      const writer = new NetlinkWriter();
      writer.begin(RTM.NEWROUTE, 0, 0);
      writeLocalRoute(writer, link, destination);
      writer.end();
      const route = readLocalRoute(cursor(Buffer.from(writer.written())));
      assert.deepEqual(route, { destination, link, protocol: 4 });
    }),
  );
});

describe('Refusals', () => {
  test('of what is done already are none; others are told by address and link', async () => {
    const errors = [EEXIST, EEXIST, EADDRNOTAVAIL, ESRCH, EPERM, ESRCH, ENODEV];
    const { socket } = open((index) => errors[index] ?? 0);
    const batch = new LinkBatch();
    batch.addAddress(dummy, address('10.96.0.1'));
    batch.addLocalRoute(dummy, cidr('10.96.0.2/32'));
    batch.deleteAddress(dummy, address('10.96.0.3'));
    batch.deleteLocalRoute(dummy, cidr('10.96.0.4/32'));
    batch.addLocalRoute(dummy, cidr('10.96.0.5/32'));
    batch.deleteAddress(dummy, address('10.96.0.6'));
    batch.addAddress(dummy, address('fd96::7'));
    const refused = await socket.commit(batch);
    assert.deepEqual(
      refused.map(({ error }) => [error.code, error.message.split(' (')[0]]),
      [
        [
          'SY_KERNEL_PERMISSION',
          'adding local route 10.96.0.5/32 to link kube-ipvs0: not permitted',
        ],
        ['SY_KERNEL_NOT_FOUND', 'deleting address 10.96.0.6 of link kube-ipvs0: not found'],
        [
          'SY_KERNEL_NOT_FOUND',
          'adding address fd96::7 to link kube-ipvs0: no such network interface',
        ],
      ],
    );
  });

  test('of a dummy link name the module to load', () => {
    const { socket } = open(() => EOPNOTSUPP);
    assert.throws(
      () => {
        socket.addDummy('kube-ipvs0');
      },
      (error) => {
        assert.ok(isKernelError(error, 'SY_KERNEL_UNSUPPORTED'), String(error));
        assert.match(error.message, /^adding dummy link kube-ipvs0: .*modprobe dummy/);
        return true;
      },
    );
  });

  test('come before anything is sent for names that no link can have', () => {
    const { io, socket } = open();
    for (const name of ['', 'a/b', 'a b', 'a'.repeat(16)]) {
      assert.throws(
        () => {
          socket.addDummy(name);
        },
        (error) => isKernelError(error, 'SY_KERNEL_ARGUMENT'),
      );
    }
    assert.equal(io.sent.length, 0);
  });

  test('to find a link mean that there is none', () => {
    assert.equal(open(() => ENODEV).socket.link('kube-ipvs0'), undefined);
    assert.throws(
      () => open(() => EPERM).socket.link('kube-ipvs0'),
      (error) => isKernelError(error, 'SY_KERNEL_PERMISSION'),
    );
  });
});
