/**
 * The iptables data plane: Routes in, batches for iptables-restore out. See docs/iptables.md for the shape of the rules
 * and one packet's way through them.
 */
import type { Clock } from '../../core/clock.ts';
import type { Family } from '../../core/ip.ts';
import type { PlaneSettings } from '../../core/node.ts';
import type { Route, RouteChange } from '../../core/route.ts';
import { KernelError, isKernelError } from '../../kernel/errors.ts';
import { type Iptables, openIptables } from '../../kernel/iptables/iptables.ts';
import { type Sysctls, openSysctls } from '../../kernel/sysctl.ts';
import { packetsThrough } from '../in-flight.ts';
import { ReportBuilder } from '../report.ts';
import type {
  Capability,
  DataPlane,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  WriteReport,
} from '../plane.ts';
import { type BaseOptions, type Jump, jumps } from './base.ts';
import { FamilyRules } from './family-rules.ts';
import { type FoundTable, readListing } from './found.ts';
import { describeFrontends } from './inspect.ts';
import type { IptablesPlaneOptions } from './options.ts';
import { probeIptables } from './probe.ts';
import { TABLES, type Table } from './schema.ts';
import { allowLocalhostNodePorts } from './sysctls.ts';
import { type Writes, batchesOf } from './writes.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Rules in one transaction of the nft variant: what a larger one takes grows with the square of its chains. */
const NFT_BATCH = 2500;
/** Times a synchronisation is tried when others write at the same time. */
const ATTEMPTS = 3;
/** Between two looks at the rules that lead to our chains, in milliseconds. */
const LOOK_MS = 5000;
/** A look may take one part in so many of the time, where it takes long (legacy variant, which reads whole tables). */
const LOOK_SHARE = 100;

/** What of the machine the plane works on. */
export interface IptablesMachine {
  /** @throws KernelError UNSUPPORTED */
  readonly openIptables: () => Iptables;
  readonly sysctls: Sysctls;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * This machine.
 * @param onWait Told who holds the lock of the tables, where that is waited for.
 */
export function iptablesMachine(
  { variant }: Pick<IptablesPlaneOptions, 'variant'>,
  onWait?: (text: string) => void,
): IptablesMachine {
  return {
    openIptables: () => openIptables({ variant, onWait }),
    sysctls: openSysctls(),
    clock: { now: () => performance.now() },
  };
}

/** Opens the iptables plane. Nothing is read or written before the first call on it. */
export function openIptablesPlane(
  options: IptablesPlaneOptions,
  machine: IptablesMachine = iptablesMachine(options),
): DataPlane {
  return new IptablesPlane(options, machine);
}

class IptablesPlane implements DataPlane {
  readonly mode = 'iptables';
  readonly #options: IptablesPlaneOptions;
  readonly #machine: IptablesMachine;
  #iptables: Iptables | undefined;
  #families: readonly FamilyRules[] = [];
  /** The last write failed, and so did the repair: nobody knows what is in the kernel. */
  #isUnsure = false;
  #disturbed = false;
  #nextLook = 0;
  #report = new ReportBuilder();

  constructor(options: IptablesPlaneOptions, machine: IptablesMachine) {
    this.#options = options;
    this.#machine = machine;
  }

  probe(): readonly Capability[] {
    return probeIptables(() => this.#kernel());
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const all = [...routes];
    const families: FamilyRules[] = [];
    for (const family of settings.families) {
      const own = all.filter((route) => route.family === family);
      families.push(await FamilyRules.of(this.#baseOptions(family, settings), own));
    }
    this.#families = families;
    await this.#synchronise();
    for (const family of FAMILIES) {
      if (!settings.families.includes(family)) await this.#removeUnwanted(family);
    }
    this.#nextLook = this.#machine.clock.now() + LOOK_MS;
    return this.#report.done();
  }

  async apply(changes: readonly RouteChange[]): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const work = this.#families.map((rules) => ({
      family: rules.base.family,
      writes: rules.change(
        changes.filter((change) => familyOfChange(change) === rules.base.family),
      ),
    }));
    if (this.#isUnsure) {
      await this.#synchronise();
      return this.#report.done();
    }
    try {
      await forEach(work, async ({ family, writes }) => this.#write(family, writes));
    } catch (error) {
      // What the kernel holds is not what we thought. Our plans are right; bring the kernel there.
      if (!(error instanceof KernelError)) throw error;
      this.#isUnsure = true;
      await this.#synchronise();
    }
    return this.#report.done();
  }

  async tend(): Promise<undefined> {
    const { clock } = this.#machine;
    const started = clock.now();
    if (this.#families.length === 0 || this.#disturbed || started < this.#nextLook) return;
    for (const rules of this.#families) {
      if (!(await this.#hasJumps(rules))) this.#disturbed = true;
    }
    const ended = clock.now();
    this.#nextLook = ended + Math.max(LOOK_MS, (ended - started) * LOOK_SHARE);
  }

  disturbed(): boolean {
    return this.#disturbed;
  }

  async verify(): Promise<DriftReport> {
    this.#report = new ReportBuilder();
    await this.#synchronise();
    return { ...this.#report.done(), drift: this.#report.drift };
  }

  async inspect(): Promise<readonly ProgrammedFrontend[]> {
    const frontends: ProgrammedFrontend[] = [];
    for (const family of FAMILIES) frontends.push(...describeFrontends(await this.#read(family)));
    return frontends;
  }

  async counters(): Promise<readonly ServiceCounters[]> {
    // The table nat sees the first packet of a connection only: there is nothing to count traffic by.
    return Promise.resolve([]);
  }

  async remove(): Promise<boolean> {
    this.#families = [];
    this.#isUnsure = false;
    this.#disturbed = false;
    this.#report = new ReportBuilder();
    let isFound = false;
    for (const family of FAMILIES) isFound = (await this.#removeFamily(family)) || isFound;
    return isFound;
  }

  close(): void {
    this.#iptables?.close();
    this.#iptables = undefined;
  }

  #kernel(): Iptables {
    this.#iptables ??= this.#machine.openIptables();
    return this.#iptables;
  }

  #baseOptions(family: Family, settings: PlaneSettings): BaseOptions {
    const { masqueradeBit, localhostNodePorts } = this.#options;
    const { sysctls } = this.#machine;
    if (localhostNodePorts && family === 'IPv4') allowLocalhostNodePorts(sysctls);
    return {
      family,
      settings,
      mark: 2 ** masqueradeBit,
      localhostNodePorts,
      dropInvalid: !isLiberal(sysctls),
    };
  }

  /** Makes the kernel hold what the plans say, whatever is there now. */
  async #synchronise(): Promise<void> {
    this.#isUnsure = true;
    await forEach(this.#families, async (rules) => this.#synchroniseFamily(rules));
    this.#isUnsure = false;
    this.#disturbed = false;
  }

  async #synchroniseFamily(rules: FamilyRules): Promise<void> {
    const { family } = rules.base;
    for (let attempt = 1; ; attempt++) {
      const found = await this.#read(family);
      const { writes, drift, rewritten } = rules.compare(found);
      try {
        await this.#write(family, writes);
      } catch (error) {
        // Others may write between our reading and our writing: read again.
        if (!(error instanceof KernelError) || attempt === ATTEMPTS) throw error;
        continue;
      } finally {
        for (const line of drift) this.#report.note(line);
      }
      // Of what looks otherwise even now, the tool has only another spelling: that is no reason to write it for ever.
      if (rewritten.size > 0) await rules.learn(await this.#read(family), rewritten);
      return;
    }
  }

  async #write(family: Family, writes: Writes): Promise<void> {
    const { variant } = this.#kernel().tools;
    const largest = variant === 'nft' ? NFT_BATCH : Number.POSITIVE_INFINITY;
    let writing = Promise.resolve();
    // The next batch is made while the tool is busy with the one before it.
    for await (const { batch, operations } of batchesOf(writes, largest)) {
      await writing;
      writing = this.#report.write(operations, async () => this.#kernel().restore(family, [batch]));
      // It is awaited above or below; until then nobody looks whether it failed.
      writing.catch(() => undefined);
    }
    await writing;
  }

  async #read(family: Family): Promise<ReadonlyMap<Table, FoundTable>> {
    const present = this.#kernel().tables(family);
    const found = new Map<Table, FoundTable>();
    for (const table of TABLES) {
      const lines = present.includes(table) ? await this.#kernel().list(family, table) : [];
      found.set(table, readListing(lines));
    }
    return found;
  }

  async #hasJumps(rules: FamilyRules): Promise<boolean> {
    const { base } = rules;
    const wanted = Map.groupBy(jumps(base), ({ table, chain }: Jump) => `${table} ${chain}`);
    for (const [first] of wanted.values()) {
      if (first === undefined) continue;
      const { table, chain } = first;
      try {
        const found = readListing(await this.#kernel().list(base.family, table, chain)).jumps;
        const own = wanted.get(`${table} ${chain}`) ?? [];
        if (!own.every(({ rule }) => found.get(chain)?.includes(rule) === true)) return false;
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        return false;
      }
    }
    return true;
  }

  async #removeUnwanted(family: Family): Promise<void> {
    try {
      await this.#removeFamily(family);
    } catch (error) {
      // There are no tools for it: then we never were there.
      if (!isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) throw error;
    }
  }

  async #removeFamily(family: Family): Promise<boolean> {
    const found = await this.#read(family);
    const removedJumps: Jump[] = [];
    let isFound = false;
    for (const [table, { chains, jumps: leading }] of found) {
      isFound ||= chains.size + leading.size > 0;
      for (const [chain, rules] of leading) {
        for (const rule of rules) removedJumps.push({ table, chain, rule });
      }
    }
    const chainsIn = (table: Table): readonly string[] => [
      ...(found.get(table)?.chains.keys() ?? []),
    ];
    const nothing = { chains: () => [], addedJumps: [] };
    await this.#write(family, {
      ...nothing,
      gone: (table) => (table === 'filter' ? chainsIn(table) : []),
      removedJumps: removedJumps.filter(isEarly),
    });
    if (isFound) await packetsThrough();
    await this.#write(family, {
      ...nothing,
      gone: (table) => (table === 'nat' ? chainsIn(table) : []),
      removedJumps: removedJumps.filter((jump) => !isEarly(jump)),
    });
    return isFound;
  }
}

/**
 * Does something for each family in turn. One where it fails does not keep it from the others.
 * @throws What it failed with first, when all had their turn.
 */
async function forEach<T>(families: readonly T[], act: (each: T) => Promise<void>): Promise<void> {
  const done: Promise<void>[] = [];
  for (const each of families) {
    const acting = act(each);
    done.push(acting);
    await Promise.allSettled([acting]);
  }
  await Promise.all(done);
}

/** Rules of filter go with the ways in: they refuse what is not translated, which ipvs may serve. */
function isEarly({ table, chain }: Jump): boolean {
  return table === 'filter' || chain === 'PREROUTING' || chain === 'OUTPUT';
}

function familyOfChange({ before, after }: RouteChange): Family | undefined {
  return (after ?? before)?.family;
}

function isLiberal(sysctls: Sysctls): boolean {
  try {
    return sysctls.read('net/netfilter/nf_conntrack_tcp_be_liberal') !== '0';
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_NOT_FOUND')) return false;
    throw error;
  }
}
