/** How the demo fails: with a sentence for people, never with a stack. */

/**
 * `SY_DEMO_USAGE`: an option that does not exist. `SY_DEMO_MACHINE`: this machine cannot run it.
 * `SY_DEMO_CLAIM`: something the demo says turned out wrong.
 */
export type DemoFailureCode = 'SY_DEMO_USAGE' | 'SY_DEMO_MACHINE' | 'SY_DEMO_CLAIM';

/** Something expected to go wrong somewhere; the message says what failed, on what, and what to do if that is known. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
  readonly code: DemoFailureCode;

  constructor(code: DemoFailureCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Stops the demo unless a claim holds that it is about to print. `otherwise` says what was seen instead. */
export function claim(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new DemoFailure('SY_DEMO_CLAIM', otherwise);
}
