/**
 * Slots: a frontend with n endpoints has slots 0 to n-1, and a packet draws one. Which endpoint has which
 * slot means nothing, so a change moves as few as it can: one endpoint more or less is one slot more or
 * less, whatever the number of endpoints.
 */
import type { Endpoint } from '../../core/route.ts';
import { trimmed } from '../../core/trimmed.ts';
import { MAX_SLOTS } from './schema.ts';
import { type Packed, packDestination } from './keys.ts';

/**
 * The endpoints as slot contents: each appears in as many slots as its weight, divided by what all
 * weights have in common. Endpoints of weight 0 get no slot. More than {@link MAX_SLOTS} are cut off.
 */
export function wantedSlots(endpoints: readonly Endpoint[]): readonly Packed[] {
  let divisor = 0;
  for (const { weight } of endpoints) divisor = greatestCommonDivisor(divisor, weight);
  const slots: Packed[] = [];
  for (const { address, port, weight } of endpoints) {
    const packed = packDestination(address, port);
    for (
      let share = divisor === 0 ? 0 : weight / divisor;
      share > 0 && slots.length < MAX_SLOTS;
      share--
    )
      slots.push(packed);
  }
  return trimmed(slots);
}

/** Places `wanted` so that every slot of `current` that can keep its content does. */
export function assignSlots(
  current: readonly (Packed | undefined)[],
  wanted: readonly Packed[],
): readonly Packed[] {
  if (current.length === 0) return wanted;
  const left = new Map<Packed, number>();
  for (const packed of wanted) left.set(packed, (left.get(packed) ?? 0) + 1);
  const take = (packed: Packed): boolean => {
    const count = left.get(packed) ?? 0;
    if (count === 0) return false;
    left.set(packed, count - 1);
    return true;
  };
  const kept = wanted.map((_, slot) => {
    const packed = current[slot];
    return packed !== undefined && take(packed) ? packed : undefined;
  });
  const moving = wanted.filter(take).values();
  return kept.map((packed) => packed ?? nextOf(moving));
}

function nextOf(iterator: Iterator<Packed, unknown>): Packed {
  const next = iterator.next();
  // Kept and moving slots together are exactly the wanted ones.
  if (next.done === true) throw new RangeError('fewer endpoints than slots');
  return next.value;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
