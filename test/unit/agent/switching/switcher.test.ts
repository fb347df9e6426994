import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pipeline } from '../../../../src/agent/pipeline.ts';
import { type PlaneName, type PlaneOffer, planeName } from '../../../../src/agent/mode.ts';
import type { SwitchRecord } from '../../../../src/agent/switching/journal.ts';
import type { SwitchProgress } from '../../../../src/agent/switching/progress.ts';
import { Switcher } from '../../../../src/agent/switching/switcher.ts';
import type { Drain, DrainOptions } from '../../../../src/planes/drain.ts';
import type { PlaneSettings } from '../../../../src/core/node.ts';
import type { Route } from '../../../../src/core/route.ts';
import { parseCidr } from '../../../../src/core/ip.ts';
import {
  FakeClock,
  FakePlane,
  SETTINGS,
  VIEW,
  service,
  setService,
  setSlice,
  slice,
  turns,
} from '../fakes.ts';

function ignore(): void {}

/** What the planes of one machine have in common: the kernel, mode by mode. */
class FakeKernel {
  /** What planes did, in order. */
  readonly log: string[] = [];
  readonly planes = new Map<PlaneName, FakePlane>();
  /** Connections that an ipvs plane carries. */
  connections = 0;
  drainOptions: DrainOptions | undefined;
  /** Throws to make a call of a plane fail. */
  fault: (mode: PlaneName, call: string) => void = () => undefined;
  missing: readonly PlaneName[] = [];
  /** Awaited when a plane is made or begins to drain: keeps the kernel busy. */
  busy: (mode: PlaneName) => Promise<void> = async () => Promise.resolve();

  /** Modes that have something in the kernel. */
  get inForce(): readonly PlaneName[] {
    return [...this.planes].flatMap(([mode, { kernel }]) => (kernel.size > 0 ? mode : []));
  }

  offer(mode: PlaneName): PlaneOffer {
    const isIptables = mode === 'iptables-nft' || mode === 'iptables-legacy';
    const of = isIptables ? ({ mode: 'iptables', variant: 'nft' } as const) : ({ mode } as const);
    const offer = { ...of, open: () => this.open(mode) };
    return mode === 'ipvs' ? { ...offer, drain: () => this.#drain() } : offer;
  }

  open(mode: PlaneName): FakePlane {
    // Of this process; the kernel behind it is the same.
    const kernel = this.planes.get(mode)?.kernel ?? new Map<string, Route>();
    const plane = new SharedPlane(mode, kernel, this);
    this.planes.set(mode, plane);
    return plane;
  }

  #drain(): Drain {
    const kernel = this.planes.get('ipvs')?.kernel;
    return {
      begin: async (options) => {
        this.log.push('ipvs drains');
        this.drainOptions = options;
        this.fault('ipvs', 'drain');
        await this.busy('ipvs');
        return Promise.resolve((kernel?.size ?? 0) > 0);
      },
      tend: async () => {
        if (this.connections > 0) return Promise.resolve(this.connections);
        kernel?.clear();
        return Promise.resolve(undefined);
      },
      close: () => undefined,
    };
  }
}

class SharedPlane extends FakePlane {
  override readonly mode: 'nftables';
  override readonly kernel: Map<string, Route>;
  readonly #name: PlaneName;
  readonly #machine: FakeKernel;

  constructor(mode: PlaneName, kernel: Map<string, Route>, machine: FakeKernel) {
    super();
    // Which of the modes it is does not matter to who uses it.
    this.mode = 'nftables';
    this.kernel = kernel;
    this.#name = mode;
    this.#machine = machine;
    this.fault = (call) => {
      machine.log.push(`${mode} ${call} ${this.settings?.serviceCidrs.length ?? 0}`);
      machine.fault(mode, call);
    };
    this.busy = async () => machine.busy(mode);
  }

  override probe() {
    const ok = !this.#machine.missing.includes(this.#name);
    return [{ name: 'kernel', ok, detail: 'no such thing.' }];
  }

  override async remove(): Promise<boolean> {
    this.#machine.log.push(`${this.#name} removed`);
    this.#machine.fault(this.#name, 'remove');
    const found = this.kernel.size > 0;
    this.kernel.clear();
    return Promise.resolve(found);
  }
}

const CIDR = parseCidr('10.96.0.0/16');
const WITH_CIDR: PlaneSettings = { ...SETTINGS, serviceCidrs: CIDR === undefined ? [] : [CIDR] };

/** An agent that serves two Services. */
class Agent {
  readonly machine = new FakeKernel();
  readonly clock = new FakeClock();
  readonly news: SwitchProgress[] = [];
  readonly troubles: string[] = [];
  readonly leftovers: PlaneName[] = [];
  readonly modes: PlaneName[] = [];
  /** Cluster IPs that do not answer while a mode is in charge. */
  broken: { readonly [M in PlaneName]?: readonly string[] } = {};
  written: SwitchRecord | undefined;
  readonly writes: string[] = [];
  cannotWrite = false;
  readonly pipeline: Pipeline;
  readonly switcher: Switcher;

  constructor(mode: PlaneName, record?: SwitchRecord) {
    const plane = this.machine.open(mode);
    this.written = record;
    this.pipeline = new Pipeline({
      plane,
      view: VIEW,
      settings: WITH_CIDR,
      clock: this.clock,
      coalesceMs: 2,
      verify: { pollMs: 1000, verifyMs: 8000, quietMs: 60_000 },
      events: {
        onQueued: ignore,
        onStarted: ignore,
        onSynced: ignore,
        onFailure: (error) => this.troubles.push(String(error)),
        onRecovered: ignore,
        onVerified: ignore,
        onTended: ignore,
        onProblems: ignore,
        onConflict: ignore,
        onStaleFlows: ignore,
      },
    });
    this.switcher = new Switcher(
      {
        pipeline: this.pipeline,
        offers: (['nftables', 'ipvs', 'iptables-nft'] as const).map((each) =>
          this.machine.offer(each),
        ),
        present: { offer: this.machine.offer(mode), plane },
        configured: 'auto',
        journal: {
          read: () => this.written,
          write: (next) => {
            if (this.cannotWrite) throw new Error('the disk is full');
            this.written = next;
            this.writes.push(next.phase);
          },
          clear: () => {
            this.written = undefined;
            this.writes.push('cleared');
          },
        },
        families: ['IPv4'],
        describe: () => ({ view: VIEW, settings: WITH_CIDR }),
        connect: async ({ address }) =>
          Promise.resolve(this.broken[this.switcher.present]?.includes(address) !== true),
        clock: this.clock,
        wallTime: () => this.clock.now(),
        events: {
          onMode: ({ offer }) => this.modes.push(planeName(offer)),
          onChanged: ignore,
          onProgress: (progress) => this.news.push(progress),
          onTrouble: (what, error) => this.troubles.push(`${what}: ${String(error)}`),
          onLeftover: (left) => this.leftovers.push(left),
        },
      },
      record,
    );
  }

  async serve(): Promise<this> {
    for (const name of ['a', 'b']) {
      const at = name === 'a' ? '10.96.0.1' : '10.96.0.2';
      this.pipeline.accept([setService(service(name, at)), setSlice(slice(name, ['10.0.0.1']))], 0);
    }
    this.pipeline.complete();
    await this.clock.pass(10);
    await this.switcher.resume();
    return this;
  }

  /** Switches, with as much time as it takes. */
  async switch(to: PlaneName, drainLimitMs: number | null = null): Promise<unknown> {
    const work = this.switcher.switch({ to, drainLimitMs }).then(
      () => undefined,
      (error: unknown) => error,
    );
    await this.clock.pass(5000);
    return work;
  }

  get steps(): readonly string[] {
    return this.news.map(({ step }) => step);
  }
}

test('the new plane has all Routes before the old one is removed, and is proved to work', async () => {
  const agent = await new Agent('nftables').serve();
  agent.machine.log.length = 0;
  assert.equal(await agent.switch('iptables-nft'), undefined);
  assert.deepEqual(agent.machine.log, [
    // What no Service has of the ServiceCIDRs is not dropped by a plane that does not know all Services.
    'iptables-nft open 0',
    'iptables-nft open 1',
    'nftables removed',
  ]);
  assert.deepEqual(agent.steps, ['building', 'retiring', 'verifying', 'done']);
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
  assert.deepEqual(agent.writes, ['building', 'retiring', 'done']);
  assert.deepEqual(agent.modes, ['iptables-nft']);
  assert.deepEqual(agent.troubles, []);
});

test('what changes while the new plane is made is in it, and what changes afterwards too', async () => {
  const agent = await new Agent('nftables').serve();
  const open = Promise.withResolvers<undefined>();
  const offer = agent.machine.open.bind(agent.machine);
  agent.machine.open = (mode) => {
    const plane = offer(mode);
    if (mode === 'iptables-nft') plane.busy = async () => open.promise;
    return plane;
  };
  const work = agent.switcher.switch({ to: 'iptables-nft', drainLimitMs: null });
  await agent.clock.pass(100);
  agent.pipeline.accept(
    [setService(service('c', '10.96.0.3')), setSlice(slice('c', ['10.0.0.3']))],
    100,
  );
  await agent.clock.pass(100);
  assert.equal(agent.machine.planes.get('nftables')?.kernel.size, 3, 'the old plane goes on');
  open.resolve(undefined);
  await agent.clock.pass(100);
  await work;
  const kernel = agent.machine.planes.get('iptables-nft')?.kernel;
  assert.equal(kernel?.size, 3);
  agent.pipeline.accept(
    [setService(service('d', '10.96.0.4')), setSlice(slice('d', ['10.0.0.4']))],
    300,
  );
  await agent.clock.pass(100);
  assert.equal(kernel.size, 4);
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
});

test('a plane that cannot be made leaves the old one in charge, and nothing behind', async () => {
  for (const failing of [1, 2]) {
    const agent = await new Agent('nftables').serve();
    let opens = 0;
    agent.machine.fault = (mode, call) => {
      if (mode === 'iptables-nft' && call === 'open' && ++opens === failing)
        throw new Error('no room');
    };
    assert.match(
      String(await agent.switch('iptables-nft')),
      /no room[^]*nftables plane has stayed/,
    );
    assert.deepEqual(agent.steps, ['building', 'failed']);
    assert.deepEqual(agent.machine.inForce, ['nftables']);
    assert.equal(agent.written, undefined);
    assert.deepEqual(agent.modes, []);
    agent.pipeline.accept([setService(service('c', '10.96.0.3'))], 0);
    await agent.clock.pass(100);
    assert.equal(agent.machine.planes.get('nftables')?.kernel.size, 3);
  }
});

test('when a Service that answered does not answer any more, the old plane comes back', async () => {
  const agent = await new Agent('nftables').serve();
  agent.broken = { 'iptables-nft': ['10.96.0.2'] };
  assert.match(String(await agent.switch('iptables-nft')), /10\.96\.0\.2 port 80 answered with/);
  assert.deepEqual(agent.steps, ['building', 'retiring', 'verifying', 'undone']);
  assert.deepEqual(agent.machine.inForce, ['nftables']);
  assert.deepEqual(agent.modes, ['iptables-nft', 'nftables']);
  assert.equal(agent.written, undefined);
});

test('a Service that did not answer before does not count', async () => {
  const agent = await new Agent('nftables').serve();
  agent.broken = { nftables: ['10.96.0.2'], 'iptables-nft': ['10.96.0.2'] };
  assert.equal(await agent.switch('iptables-nft'), undefined);
  assert.equal(agent.steps.at(-1), 'done');
});

test('an old plane that carries connections drains, and each change of their number is told', async () => {
  const agent = await new Agent('ipvs').serve();
  agent.machine.connections = 10;
  assert.equal(await agent.switch('nftables', 60_000), undefined);
  assert.equal(agent.machine.drainOptions?.limitMs, 60_000);
  assert.deepEqual(agent.steps, ['building', 'retiring', 'verifying', 'draining']);
  assert.equal(agent.written?.phase, 'retiring');
  agent.machine.connections = 3;
  await agent.clock.pass(5000);
  assert.deepEqual(agent.machine.inForce.toSorted(), ['ipvs', 'nftables']);
  agent.machine.connections = 0;
  await agent.clock.pass(5000);
  assert.deepEqual(
    agent.news.flatMap(({ connections }) => connections ?? []),
    [10, 3],
  );
  assert.equal(agent.steps.at(-1), 'done');
  assert.equal(agent.written.phase, 'done');
  assert.deepEqual(agent.machine.inForce, ['nftables']);
});

test('while the old plane drains, it can be had back', async () => {
  const agent = await new Agent('ipvs').serve();
  agent.machine.connections = 10;
  await agent.switch('nftables');
  assert.equal(await agent.switch('ipvs'), undefined);
  assert.equal(agent.switcher.present, 'ipvs');
  agent.machine.connections = 0;
  await agent.clock.pass(5000);
  assert.deepEqual(agent.machine.inForce, ['ipvs'], 'nobody drains it any more');
  assert.deepEqual(
    [agent.written?.from, agent.written?.to, agent.written?.phase],
    ['nftables', 'ipvs', 'done'],
  );
});

test('a drain that ends while another switch fails is over, too', async () => {
  const agent = await new Agent('ipvs').serve();
  agent.machine.connections = 10;
  await agent.switch('nftables');
  const making = Promise.withResolvers<undefined>();
  agent.machine.busy = async (mode) => {
    if (mode === 'iptables-nft') await making.promise;
  };
  const work = agent.switch('iptables-nft');
  agent.machine.connections = 0;
  await agent.clock.pass(5000);
  making.reject(new Error('no room'));
  assert.match(String(await work), /no room/);
  assert.deepEqual([agent.written?.to, agent.written?.phase], ['nftables', 'done']);
  assert.equal(agent.steps.at(-1), 'done');
});

test('what cannot be removed is tried again until it is, and told once', async () => {
  const agent = await new Agent('nftables').serve();
  let left = 2;
  agent.machine.fault = (mode, call) => {
    if (mode === 'nftables' && call === 'remove' && left-- > 0) throw new Error('busy');
  };
  assert.equal(await agent.switch('iptables-nft'), undefined);
  assert.equal(agent.written?.phase, 'retiring');
  await agent.clock.pass(20_000);
  assert.equal(agent.steps.at(-1), 'done');
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
  assert.equal(agent.troubles.length, 1);
});

test('an agent that was killed while it built begins again, from the old mode', async () => {
  const agent = new Agent('nftables', recordOf('building', 'nftables', 'iptables-nft'));
  // Half of it is there.
  await agent.machine.open('iptables-nft').open(SETTINGS, []);
  await Promise.all([agent.serve(), agent.clock.pass(5000)]);
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
  assert.equal(agent.steps.at(-1), 'done');
});

test('a switch that fails when it is made again is over, and the plane before stays in force', async () => {
  const faults: readonly ((agent: Agent) => void)[] = [
    ({ machine }) => {
      machine.missing = ['ipvs'];
    },
    ({ machine }) => {
      machine.fault = (mode, call) => {
        if (mode === 'ipvs' && call === 'open') throw new Error('no room');
      };
    },
    (agent) => {
      agent.broken = { ipvs: ['10.96.0.2'] };
    },
  ];
  for (const [index, breakIt] of faults.entries()) {
    const agent = new Agent('iptables-nft', recordOf('building', 'iptables-nft', 'ipvs'));
    breakIt(agent);
    assert.equal(agent.switcher.isUnderWay, true, 'it will be made');
    await Promise.all([agent.serve(), agent.clock.pass(5000)]);
    assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
    const { written } = agent;
    // Also where the configuration alone would have led to nftables.
    assert.deepEqual([written?.phase, written?.to], ['done', 'iptables-nft'], `fault ${index}`);
    assert.deepEqual(agent.switcher.record, written);
    assert.equal(agent.switcher.isUnderWay, false);
    assert.match(agent.steps.at(-1) ?? '', /^(failed|undone)$/);
    const next = await new Agent('iptables-nft', written).serve();
    assert.deepEqual([next.steps, next.troubles], [[], []], 'the next start does not make it');
  }
});

test('a switch ends where the journal cannot be written any more', async () => {
  const agent = await new Agent('nftables').serve();
  agent.machine.fault = () => {
    agent.cannotWrite = true;
  };
  assert.equal(await agent.switch('iptables-nft'), undefined);
  assert.deepEqual(agent.steps, ['building', 'retiring', 'verifying', 'done']);
  assert.equal(agent.switcher.record?.phase, 'done');
  assert.match(agent.troubles.join('\n'), /writing the journal.*disk is full/);
});

test('an old plane that cannot be had again leaves nothing half made', async () => {
  const agent = await new Agent('nftables').serve();
  agent.broken = { 'iptables-nft': ['10.96.0.2'] };
  let opens = 0;
  agent.machine.fault = (mode, call) => {
    // The second time, the first half of it is there.
    if (mode === 'nftables' && call === 'open' && ++opens === 2) throw new Error('no room');
  };
  assert.match(String(await agent.switch('iptables-nft')), /cannot be had again: [^]*no room/);
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
  assert.deepEqual([agent.written?.to, agent.written?.phase], ['iptables-nft', 'done']);
  assert.equal(agent.switcher.isUnderWay, false);
});

test('a plane that is asked for while the rest of others is removed is not taken for such a rest', async () => {
  const agent = new Agent('nftables');
  const [removal, making] = [
    Promise.withResolvers<undefined>(),
    Promise.withResolvers<undefined>(),
  ];
  agent.machine.busy = async (mode) => {
    if (mode === 'ipvs') await removal.promise;
    if (mode !== 'iptables-nft') return;
    agent.machine.log.push('iptables-nft is made');
    await making.promise;
  };
  const serving = agent.serve();
  await turns();
  assert.equal(agent.machine.log.at(-1), 'ipvs drains');
  const work = agent.switch('iptables-nft');
  await turns();
  assert.equal(agent.machine.log.at(-1), 'iptables-nft is made');
  removal.resolve(undefined);
  await serving;
  assert.equal(agent.switcher.isUnderWay, true);
  making.resolve(undefined);
  assert.equal(await work, undefined);
  assert.ok(!agent.machine.log.includes('iptables-nft removed'));
  assert.deepEqual(agent.machine.inForce, ['iptables-nft']);
  assert.equal(agent.steps.at(-1), 'done');
});

test('an agent that ends waits for the removal that is under way, and begins no other', async () => {
  const agent = new Agent('nftables');
  const removal = Promise.withResolvers<undefined>();
  agent.machine.busy = async (mode) => {
    if (mode === 'ipvs') await removal.promise;
  };
  const serving = agent.serve();
  await turns();
  assert.equal(agent.machine.log.at(-1), 'ipvs drains');
  let isClosed = false;
  const closing = (async () => {
    await agent.switcher.close();
    isClosed = true;
  })();
  await turns();
  assert.equal(isClosed, false);
  removal.resolve(undefined);
  await Promise.all([closing, serving]);
  assert.equal(agent.machine.log.at(-1), 'ipvs drains');
});

test('an agent that was killed while the old plane drained goes on with the time that is left', async () => {
  const before = await new Agent('ipvs').serve();
  before.machine.connections = 1;
  const record = { ...recordOf('retiring', 'ipvs', 'nftables'), drainLimitMs: 60_000 };
  const agent = new Agent('nftables', record);
  agent.machine.planes.set('ipvs', before.machine.open('ipvs'));
  agent.machine.connections = 1;
  await agent.clock.pass(20_000);
  await agent.serve();
  await turns();
  const limit = agent.machine.drainOptions?.limitMs ?? 0;
  assert.ok(limit > 39_000 && limit <= 40_000, `${limit} ms`);
  assert.ok(
    !agent.steps.includes('done'),
    'planes that have left nothing are not the one that drains',
  );
  agent.machine.connections = 0;
  await agent.clock.pass(2000);
  assert.equal(agent.written?.phase, 'done');
  assert.deepEqual(agent.leftovers, [], 'it is no surprise');
});

test('what an earlier mode left is removed once Services are served, and not before', async () => {
  const agent = new Agent('nftables');
  const old = agent.machine.open('iptables-nft');
  old.kernel.set('stale', { key: 'stale' } as unknown as Route);
  agent.machine.log.length = 0;
  await agent.serve();
  assert.deepEqual(agent.machine.log.slice(0, 1), ['nftables open 1']);
  assert.deepEqual(agent.leftovers, ['iptables-nft']);
  assert.deepEqual(agent.machine.inForce, ['nftables']);
  assert.equal(agent.written, undefined);
});

test('what cannot begin is refused, and changes nothing', async () => {
  const agent = new Agent('nftables');
  assert.throws(() => agent.switcher.check('iptables-nft'), /serves no Services yet/);
  await agent.serve();
  agent.machine.missing = ['ipvs'];
  const log = agent.machine.log.length;
  assert.throws(() => agent.switcher.check('nftables'), { code: 'SY_SWITCH_REFUSED' });
  assert.throws(() => agent.switcher.check('ipvs'), {
    code: 'SY_PLANE_UNUSABLE',
    message: /no such thing/,
  });
  const first = agent.switch('iptables-nft');
  assert.throws(() => agent.switcher.check('ipvs'), /under way/);
  await first;
  assert.equal(
    agent.machine.log.filter((line) => line.startsWith('ipvs')).length,
    1,
    'its rest was looked for at the start',
  );
  assert.ok(agent.machine.log.length > log);
});

test('without a journal that can be written nothing begins', async () => {
  const agent = await new Agent('nftables').serve();
  agent.cannotWrite = true;
  assert.match(String(await agent.switch('iptables-nft')), /disk is full/);
  assert.deepEqual(agent.machine.inForce, ['nftables']);
  assert.deepEqual(agent.steps, ['failed'], 'who follows is told');
});

test('who follows gets all the news and then the end', async () => {
  const agent = await new Agent('nftables').serve();
  const steps: (string | undefined)[] = [];
  const follow = async (): Promise<void> => {
    for await (const progress of agent.switcher.feed.follow(10_000, agent.clock))
      steps.push(progress?.step);
  };
  const following = follow();
  await agent.switch('iptables-nft');
  await following;
  assert.deepEqual(steps, ['building', 'retiring', 'verifying', 'done']);
  const quiet = agent.switcher.feed.follow(10_000, agent.clock)[Symbol.asyncIterator]();
  const next = quiet.next();
  await agent.clock.pass(10_000);
  assert.deepEqual(await next, { done: false, value: undefined });
  await quiet.return?.();
});

function recordOf(phase: SwitchRecord['phase'], from: PlaneName, to: PlaneName): SwitchRecord {
  return { configured: 'auto', from, to, phase, since: '1970-01-01T00:00:00Z', drainLimitMs: null };
}
