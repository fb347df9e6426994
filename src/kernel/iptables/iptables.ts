/**
 * iptables through long-lived `iptables-restore` processes, one a family: rules are written and read over their
 * pipes, and no process is started for either.
 */
import type { Family } from '../../core/ip.ts';
import { Coprocess } from './coprocess.ts';
import { type IptablesTools, type Variant, findTools, legacyTables } from './variant.ts';

/** Lines for one table that take effect at once or not at all. */
export interface TableBatch {
  /** `nat`, `filter`, …. */
  readonly table: string;
  /**
   * Lines as iptables-restore(8) takes them, without `*TABLE`, without `COMMIT` and without line ends:
   * `:CHAIN - [0:0]` (makes or empties a chain), `-A CHAIN …`, `-I`, `-D`, `-F`, `-X`. Chains that are not named stay
   * as they are.
   */
  readonly lines: readonly string[];
}

/** The rules in this process's network namespace. Calls may overlap; those of a family are carried out in turn. */
export interface Iptables {
  /** The variant in use, its version, and why: whether rules of the other one are in force too. */
  readonly tools: IptablesTools;
  /**
   * Starts the process of a family. To be called while this process is small: the time it takes to start another one
   * grows with the memory of the one that does. @throws KernelError UNSUPPORTED, PERMISSION, CALL.
   */
  warm(family: Family): Promise<void>;
  /**
   * Writes batches, in their order; resolves when the kernel has all of them. A batch may be of any size, but others
   * wait for it. While somebody else holds the lock of the tables it waits, without end.
   *
   * When the process is killed, another one gets what it had not confirmed: a batch may be carried out twice, if the
   * process ended after it and before it said so. `:CHAIN` and `-A` bear that; `-I` doubles a rule, `-D` and `-X` are
   * refused.
   *
   * @throws RestoreError A line is refused. Batches before its own are in force, its own and those after are not.
   * @throws KernelError UNSUPPORTED, PERMISSION, CALL: the process cannot be started, or ends each time; CLOSED.
   */
  restore(family: Family, batches: readonly TableBatch[]): Promise<void>;
  /**
   * The rules of a table, or of one chain of it, as `iptables -S` prints them: `-P INPUT ACCEPT`, `-N CHAIN`,
   * `-A CHAIN …`. One chain costs what its rules cost.
   * @throws RestoreError There is no such table or chain. The process ends of it, and the next call starts another.
   * @throws KernelError as {@link Iptables.restore}.
   */
  list(family: Family, table: string, chain?: string): Promise<readonly string[]>;
  /** Tables that may hold rules. To list others would make the kernel load them. */
  tables(family: Family): readonly string[];
  /** Ends the processes; calls under way reject. A later call starts them again. */
  close(): void;
}

/** What {@link openIptables} can be told. */
export interface IptablesOptions {
  /** The variant to use whatever is in force; without it, the one that others use here. */
  readonly variant?: Variant | undefined;
  /** Told, once for each call that waits for seconds, who holds the lock: a sentence for the log. */
  readonly onWait?: ((text: string) => void) | undefined;
}

/** Tables of iptables-nft. */
export const NFT_TABLES = ['raw', 'mangle', 'nat', 'filter', 'security'] as const;

/**
 * Finds the tools; their processes start when they are used first. Blocks while it runs a few short programs.
 * @throws KernelError UNSUPPORTED: there is no iptables, none of that variant, or one before 1.8.5.
 */
export function openIptables({
  variant,
  onWait = () => undefined,
}: IptablesOptions = {}): Iptables {
  const tools = findTools(variant);
  const coprocesses = {
    IPv4: new Coprocess(`${tools.programs.IPv4}-restore`, onWait),
    IPv6: new Coprocess(`${tools.programs.IPv6}-restore`, onWait),
  };
  return {
    tools,
    warm: async (family) => coprocesses[family].warm(),
    restore: async (family, batches) => {
      await coprocesses[family].carryOut(batches);
    },
    list: async (family, table, chain) => {
      const lines = [chain === undefined ? '-S' : `-S ${chain}`];
      const printed = await coprocesses[family].carryOut([{ table, lines }]);
      return printed.filter((line) => line.startsWith('-'));
    },
    tables: (family) => (tools.variant === 'nft' ? NFT_TABLES : legacyTables(family)),
    close: () => {
      coprocesses.IPv4.close();
      coprocesses.IPv6.close();
    },
  };
}
