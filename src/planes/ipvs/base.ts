/** What does not depend on Services: the link, the sets and the rules. Made once, and made again when it is gone. */
import type { Family } from '../../core/ip.ts';
import { KernelError, isKernelError } from '../../kernel/errors.ts';
import type { Iptables, TableBatch } from '../../kernel/iptables/iptables.ts';
import { IFF } from '../../kernel/rtnetlink/constants.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { Sockets } from './machine.ts';
import type { ReportBuilder } from '../report.ts';
import {
  type Chains,
  isInForce,
  ourPart,
  parseChains,
  removeFromTable,
  writeTable,
} from './rule-tables.ts';
import type { TableRules } from './rules.ts';
import { LINK, SET_ROLES, setDefinition, setName } from './schema.ts';

/** Finds the link, or makes it; it is up afterwards. @throws KernelError EXISTS: another kind of link has its name. */
export async function ensureLink({ links }: Sockets, report: ReportBuilder): Promise<Link> {
  let link = links.link(LINK);
  if (link === undefined) {
    report.note(`link ${LINK} was missing`);
    await report.write(1, () => {
      links.addDummy(LINK);
    });
    link = links.link(LINK);
  }
  if (link?.kind !== 'dummy') {
    throw new KernelError(
      `making link ${LINK}: a link of another kind (${link?.kind ?? 'unknown'}) has this name. Give that link another name.`,
      { code: 'SY_KERNEL_EXISTS' },
    );
  }
  const found = link;
  if ((found.flags & IFF.UP) === 0) {
    await report.write(1, () => {
      links.setUp(found);
    });
  }
  return found;
}

/** Makes the sets of a family that are missing. */
export async function ensureSets(
  { ipset, iptables }: Sockets,
  family: Family,
  present: ReadonlySet<string>,
  report: ReportBuilder,
): Promise<void> {
  for (const role of SET_ROLES) {
    const name = setName(family, role);
    const definition = setDefinition(family, role);
    const isMissing = !present.has(name);
    if (isMissing) report.note(`${family} set ${name} was missing`);
    try {
      if (isMissing) await report.write(1, () => ipset.create(definition));
      else ipset.create(definition);
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_EXISTS')) throw error;
      // Of another version: no rule may name it while it is replaced.
      await removeRules(iptables, family);
      await report.write(2, () => {
        ipset.destroy(name);
        ipset.create(definition);
      });
    }
  }
}

/** The rules of a family in the kernel. */
export class RuleKeeper {
  readonly #iptables: Iptables;
  readonly #family: Family;
  readonly #rules: readonly TableRules[];
  /** How iptables spells each of our tables. */
  readonly #spelling = new Map<string, string>();

  constructor(iptables: Iptables, family: Family, rules: readonly TableRules[]) {
    this.#iptables = iptables;
    this.#family = family;
    this.#rules = rules;
  }

  /** True when it is known how iptables spells what was written. */
  get isLearnt(): boolean {
    return this.#spelling.size === this.#rules.length;
  }

  /** Writes the tables that are not as they should be. @throws KernelError */
  async ensure(report: ReportBuilder): Promise<void> {
    const wrong: TableBatch[] = [];
    let operations = 0;
    for (const rules of this.#rules) {
      const found = await this.#read(rules);
      if (this.#isRight(rules, found)) continue;
      report.note(`${this.#family} rules of table ${rules.table} were missing or changed`);
      wrong.push(writeTable(rules, found));
      this.#spelling.delete(rules.table);
      operations += rules.jumps.size + [...rules.chains.values()].flat().length;
    }
    if (wrong.length === 0) return;
    await report.write(operations, () => this.#iptables.restore(this.#family, wrong));
  }

  /**
   * Compares the tables with what they should be. The first time after they were written it learns how they are spelt:
   * nobody waits for that then, as those would who wait for {@link ensure}. @throws KernelError
   */
  async areInForce(): Promise<boolean> {
    for (const rules of this.#rules) {
      if (!this.#isRight(rules, await this.#read(rules))) return false;
    }
    return true;
  }

  async #read({ table }: TableRules): Promise<Chains> {
    return parseChains(await this.#iptables.list(this.#family, table));
  }

  #isRight(rules: TableRules, found: Chains): boolean {
    const ours = ourPart(found);
    const spelling = this.#spelling.get(rules.table);
    if (spelling !== undefined) return ours === spelling;
    const isRight = isInForce(rules, found);
    if (isRight) this.#spelling.set(rules.table, ours);
    return isRight;
  }
}

/** Removes the rules of a family, if there are any. Resolves to whether there were. */
export async function removeRules(iptables: Iptables, family: Family): Promise<boolean> {
  const batches: TableBatch[] = [];
  for (const table of iptables.tables(family)) {
    const chains = parseChains(await iptables.list(family, table));
    batches.push(...removeFromTable(table, chains));
  }
  await iptables.restore(family, batches);
  return batches.length > 0;
}
