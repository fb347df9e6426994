/** What does not depend on Services: the link, the sets and the rules. Made once, and made again when it is gone. */
import type { Family } from '../../core/ip.ts';
import { KernelError, isKernelError } from '../../kernel/errors.ts';
import type { Iptables } from '../../kernel/iptables/iptables.ts';
import { IFF } from '../../kernel/rtnetlink/constants.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { Sockets } from './machine.ts';
import type { ReportBuilder } from './report.ts';
import { isInForce, ourPart, parseTables, removeTables, writeTable } from './rule-tables.ts';
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
  { ipset }: Sockets,
  iptables: Iptables,
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
      const rules = removeTables(parseTables(iptables.save(family)));
      if (rules !== '') iptables.restore(family, rules);
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
  /** How iptables-save spells each of our tables. */
  readonly #spelling = new Map<string, string>();

  constructor(iptables: Iptables, family: Family, rules: readonly TableRules[]) {
    this.#iptables = iptables;
    this.#family = family;
    this.#rules = rules;
  }

  /** Writes the tables that are not as they should be. */
  async ensure(report: ReportBuilder): Promise<void> {
    const found = parseTables(this.#iptables.save(this.#family));
    let input = '';
    let operations = 0;
    for (const rules of this.#rules) {
      const chains = found.get(rules.table);
      const spelling = this.#spelling.get(rules.table);
      const isRight =
        spelling === undefined ? isInForce(rules, chains) : ourPart(chains) === spelling;
      this.#spelling.set(rules.table, ourPart(chains));
      if (isRight) continue;
      report.note(`${this.#family} rules of table ${rules.table} were missing or changed`);
      input += writeTable(rules, chains);
      operations += rules.jumps.size + [...rules.chains.values()].flat().length;
    }
    if (input === '') return;
    await report.write(operations, () => {
      this.#iptables.restore(this.#family, input);
    });
    const written = parseTables(this.#iptables.save(this.#family));
    for (const { table } of this.#rules) this.#spelling.set(table, ourPart(written.get(table)));
  }
}

/** Removes the rules of a family, if there are any. Resolves to whether there were. */
export function removeRules(iptables: Iptables, family: Family): boolean {
  const input = removeTables(parseTables(iptables.save(family)));
  if (input !== '') iptables.restore(family, input);
  return input !== '';
}
