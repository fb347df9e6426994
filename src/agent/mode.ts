/** Which data plane runs. */
import type { Variant } from '../kernel/iptables/variant.ts';
import type { Drain } from '../planes/drain.ts';
import type { DataPlane } from '../planes/plane.ts';
import type { PlaneMode, ProxyMode } from './config/option.ts';
import { AgentError } from './errors.ts';

/** Names of data planes: iptables mode has two, which a kernel may hold side by side. */
export const PLANE_NAMES = ['nftables', 'ipvs', 'iptables-nft', 'iptables-legacy'] as const;

/** One of {@link PLANE_NAMES}. */
export type PlaneName = (typeof PLANE_NAMES)[number];

/** A data plane that can be opened. */
export interface PlaneOffer {
  readonly mode: PlaneMode;
  /** Of iptables mode: where its rules live. */
  readonly variant?: Variant;
  readonly open: () => DataPlane;
  /**
   * Writes the sysctls that `open` would write: in a container, only a privileged one may, and `open` then finds nothing to
   * write. To be called once the plane was probed, which loads the modules. Throws a KernelError; absent where there are none.
   */
  readonly setSysctls?: () => void;
  /**
   * Lets connections end that need what the plane left. Absent where the kernel's connection tracking carries them: then
   * the plane can be removed at once.
   */
  readonly drain?: () => Drain;
  /** False when the plane cannot have left anything. Costs little; absent where the plane itself tells as cheaply. */
  readonly mayBeThere?: () => boolean;
}

/** A plane that works here, and why this one. */
export interface ModeChoice {
  readonly offer: PlaneOffer;
  readonly plane: DataPlane;
  /** A sentence for the log. */
  readonly reason: string;
}

/**
 * Opens the plane that is wanted; for `auto` the first of `offers`, the best one first, that this node supports.
 *
 * Throws an {@link AgentError} `SY_PLANE_UNUSABLE` with what is missing.
 */
export function chooseMode(wanted: ProxyMode, offers: readonly PlaneOffer[]): ModeChoice {
  const refusals: string[] = [];
  for (const offer of offers.filter(({ mode }) => wanted === 'auto' || mode === wanted)) {
    const { mode } = offer;
    const plane = offer.open();
    const refusal = refusalOf(mode, plane);
    if (refusal === undefined) return { offer, plane, reason: reasonFor(wanted, mode, refusals) };
    plane.close();
    refusals.push(refusal);
  }
  throw new AgentError('SY_PLANE_UNUSABLE', refusals.join(' '));
}

/** The name of an offer. */
export function planeName({ mode, variant = 'nft' }: PlaneOffer): PlaneName {
  return mode === 'iptables' ? `${mode}-${variant}` : mode;
}

/** Why a plane cannot work here; `undefined` if it can. */
export function missingFor({ mode, open }: PlaneOffer): string | undefined {
  const plane = open();
  try {
    return refusalOf(mode, plane);
  } finally {
    plane.close();
  }
}

function refusalOf(mode: PlaneMode, plane: DataPlane): string | undefined {
  const missing = plane.probe().filter(({ ok }) => !ok);
  if (missing.length === 0) return undefined;
  const reasons = missing.map(({ name, detail }) => `${name}: ${detail}`);
  return `The ${mode} mode cannot work here. ${reasons.join(' ')}`;
}

function reasonFor(wanted: ProxyMode, mode: PlaneMode, refusals: readonly string[]): string {
  if (wanted !== 'auto') return 'the configuration asks for it';
  if (refusals.length === 0) return `${mode} is the best mode, and this node supports it`;
  return `it is the best mode that this node supports. ${refusals.join(' ')}`;
}
