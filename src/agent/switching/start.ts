/** Which data plane an agent starts with, after the switches of those before it. */
import type { ProxyMode } from '../config/option.ts';
import { type ModeChoice, type PlaneOffer, chooseMode, planeName } from '../mode.ts';
import type { SwitchJournal, SwitchRecord } from './journal.ts';

/** Where to begin. */
export interface Start {
  readonly choice: ModeChoice;
  /** The last switch, if it still counts. */
  readonly record: SwitchRecord | undefined;
}

/**
 * Chooses the mode that a switch has come to; without one, or when the configuration asks for another mode than when the
 * switch was made, what the configuration says. Throws as {@link chooseMode} does.
 *
 * @param onTrouble - Told what kept the switch from being gone on with.
 */
export function chooseStart(
  configured: ProxyMode,
  offers: readonly PlaneOffer[],
  journal: SwitchJournal | undefined,
  onTrouble: (error: unknown) => void,
): Start {
  try {
    const record = journal?.read();
    if (record?.configured === configured) {
      const { from, to, phase, since } = record;
      const name = phase === 'building' ? from : to;
      const named = offers.filter((offer) => planeName(offer) === name);
      const { offer, plane } = chooseMode('auto', named);
      const reason =
        phase === 'building'
          ? `the switch from it to ${to} was interrupted and is made again`
          : `it was switched to from ${from} (since ${since})`;
      return { choice: { offer, plane, reason }, record };
    }
    if (record !== undefined) journal?.clear();
  } catch (error) {
    onTrouble(error);
  }
  return { choice: chooseMode(configured, offers), record: undefined };
}
