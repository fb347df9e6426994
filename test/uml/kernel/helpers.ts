/** What the tests against a real IPVS have in common. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { type Address, parseAddress } from '../../../src/core/ip.ts';
import { inNamespace } from '../../lab/in-namespace.ts';

/** Like {@link inNamespace}, where the kernel has IPVS; elsewhere registers one skipped test. */
export function withIpvs(file: string, define: () => void): void {
  if (existsSync('/proc/net/ip_vs')) inNamespace(file, define);
  else test(file, { skip: 'this kernel has no IPVS (no /proc/net/ip_vs)' }, () => undefined);
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

/** Everything that is iterated. */
export async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}
