/** Which data plane runs. */
import type { DataPlane } from '../planes/plane.ts';
import type { PlaneMode, ProxyMode } from './config/option.ts';
import { AgentError } from './errors.ts';

/** A data plane that can be opened. */
export interface PlaneOffer {
  readonly mode: PlaneMode;
  readonly open: () => DataPlane;
}

/** A plane that works here, and why this one. */
export interface ModeChoice {
  readonly plane: DataPlane;
  /** A sentence for the log. */
  readonly reason: string;
}

/**
 * Opens the plane that is wanted; for `auto` the first of `offers`, the best one first, that this node supports.
 *
 * Throws an {@link AgentError}: `SY_MODE_NOT_BUILT`, or `SY_PLANE_UNUSABLE` with what is missing.
 */
export function chooseMode(wanted: ProxyMode, offers: readonly PlaneOffer[]): ModeChoice {
  const wantedOffers = offers.filter(({ mode }) => wanted === 'auto' || mode === wanted);
  if (wantedOffers.length === 0) {
    const built = offers.map(({ mode }) => mode).join(', ');
    throw new AgentError(
      'SY_MODE_NOT_BUILT',
      `The mode ${wanted} is not built yet: use --proxy-mode with ${built} or auto.`,
    );
  }
  const refusals: string[] = [];
  for (const { mode, open } of wantedOffers) {
    const plane = open();
    const missing = plane.probe().filter(({ ok }) => !ok);
    if (missing.length === 0) return { plane, reason: reasonFor(wanted, mode, refusals) };
    plane.close();
    const reasons = missing.map(({ name, detail }) => `${name}: ${detail}`);
    refusals.push(`The ${mode} mode cannot work here. ${reasons.join(' ')}`);
  }
  throw new AgentError('SY_PLANE_UNUSABLE', refusals.join(' '));
}

function reasonFor(wanted: ProxyMode, mode: PlaneMode, refusals: readonly string[]): string {
  if (wanted !== 'auto') return 'the configuration asks for it';
  if (refusals.length === 0) return `${mode} is the best mode, and this node supports it`;
  return `it is the best mode that this node supports. ${refusals.join(' ')}`;
}
