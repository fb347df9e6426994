/** What is left of a data plane whose place another one has taken. */
import type { Family } from '../core/ip.ts';

/** How long what is left may stay, and of which families. */
export interface DrainOptions {
  /** Families the kernel has. */
  readonly families: readonly Family[];
  /** Longest time that connections may last, in milliseconds; `Infinity`: as long as they do. */
  readonly limitMs: number;
}

/**
 * Lets the connections end that a plane left, where they need its kernel objects; then removes these. New connections
 * belong to another plane, which holds all Routes before this begins. Calls never overlap.
 */
export interface Drain {
  /** Takes no new connections from now on. Resolves to whether there is anything left. May be called again. */
  begin(options: DrainOptions): Promise<boolean>;
  /**
   * Removes what nobody needs any more; to be called about once a second. Resolves to the number of established
   * connections that are left; `undefined`: everything is removed.
   */
  tend(): Promise<number | undefined>;
  /** Frees sockets. What is left stays. */
  close(): void;
}
