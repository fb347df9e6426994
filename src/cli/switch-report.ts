/** What `switchyard switch` prints: a line for each step, the drain in place on a terminal, or one document. */
import type { PlaneName } from '../agent/mode.ts';
import type { SwitchState } from '../agent/switching/pages.ts';
import type { SwitchProgress } from '../agent/switching/progress.ts';
import { describe, listing } from '../tools/cleanup/describe.ts';
import { type Leftovers, count } from '../tools/cleanup/leftovers.ts';
import type { RunningProxy } from '../tools/cleanup/running.ts';
import { ToolError } from '../tools/errors.ts';
import type { Restoration } from '../tools/switch/put-back.ts';
import type { StoredBundle } from '../tools/switch/undo-bundle.ts';
import type { Output } from './output.ts';

/** The document for programs. */
interface SwitchDocument {
  state?: SwitchState;
  steps?: SwitchProgress[];
  kubeProxy?: Pick<Leftovers, 'objects' | 'kept' | 'unseen'>;
  undoBundle?: string;
  unsaved?: readonly string[];
  putBack?: Pick<Restoration, 'objects' | 'present'>;
  remains?: readonly string[];
}

/** ECMA-48: erase the rest of the line. */
const ERASE_LINE = '\u001B[K';

/** Prints as things happen. */
export class SwitchReport {
  readonly #output: Output;
  readonly #isDocument: boolean;
  readonly #document: SwitchDocument = {};
  #isPending = false;
  #last: SwitchProgress | undefined;

  constructor(output: Output, isDocument: boolean) {
    this.#output = output;
    this.#isDocument = isDocument;
  }

  /** A line that stays. */
  line(text: string): void {
    if (this.#isDocument) return;
    this.#output.out(`${this.#isPending ? `\r${ERASE_LINE}` : ''}${text}\n`);
    this.#isPending = false;
  }

  /** On a terminal a line that the next one replaces. */
  status(text: string): void {
    if (this.#isDocument) return;
    const size = this.#output.terminal();
    if (size === undefined) {
      this.line(text);
      return;
    }
    this.#output.out(`\r${text.slice(0, size.columns - 1)}${ERASE_LINE}`);
    this.#isPending = true;
  }

  /** How it stands. */
  state(state: SwitchState): void {
    this.#document.state = state;
    const { plane, last } = state;
    this.inCharge(plane);
    if (last === undefined) return;
    const { from, to, phase, since } = last;
    this.line(`Last switch: from ${from} to ${to}, ${phase} since ${since}.`);
  }

  /** Nothing is to be switched. */
  inCharge(plane: PlaneName): void {
    this.line(`The ${plane} plane is in charge.`);
  }

  /** A dry run found nothing in the way. */
  possible(from: PlaneName, to: PlaneName): void {
    if (from === to) this.inCharge(to);
    else this.line(`The switch from ${from} to ${to} can be made.`);
  }

  /** News of the agent. */
  progress(progress: SwitchProgress): void {
    this.#last = progress;
    this.#document.steps = [...(this.#document.steps ?? []), progress];
    const { step, text } = progress;
    if (step === 'draining') this.status(`${step}: ${text}`);
    else this.line(`${step}: ${text}`);
  }

  /** What kube-proxy left was found. */
  leftovers({ objects, kept, unseen }: Leftovers): void {
    this.#document.kubeProxy = { objects, kept, unseen };
    this.line(`Found ${objects.length} objects that a stopped kube-proxy left.`);
  }

  /** They are kept. */
  saved({ path, bundle }: StoredBundle): void {
    this.#document.undoBundle = path;
    this.line(`Kept them in ${path}: switchyard switch --undo puts them back.`);
    this.#unsaved(bundle.unsaved);
  }

  /** A dry run found them. */
  wouldRemove(leftovers: Leftovers, unsaved: readonly string[]): void {
    this.line(['Would be removed:', ...describe(leftovers)].join('\n'));
    this.#unsaved(unsaved);
  }

  /** What a take-over removed is going to be put back. */
  restoration({ bundle, objects, present }: Restoration, path: string, isDryRun: boolean): void {
    this.#document.undoBundle = path;
    this.#document.putBack = { objects, present };
    const lines = [
      `${isDryRun ? 'Would put' : 'Putting'} back what kube-proxy had left at ${bundle.savedAt}: ` +
        count(objects.length, 'object'),
      ...(isDryRun ? listing(objects) : []),
      ...(present.length === 0 ? [] : ['These are there already, and stay as they are:']),
      ...listing(present),
      ...bundle.unsaved.map((text) => `Was not kept: ${text}`),
    ];
    this.line(lines.join('\n'));
  }

  /** There is nothing to put back. */
  runsAgain({ pid, command }: RunningProxy): void {
    this.line(
      `kube-proxy runs again, as process ${pid} (${command}): it writes its rules itself, and nothing is put back.`,
    );
  }

  /** What is left to do by hand after the take-over is undone. */
  whatRemains(isRunning: boolean, agents: readonly RunningProxy[]): void {
    const stops = [...new Set(agents.map(({ stop }) => stop))].join('; ');
    const remains = [
      isRunning
        ? 'wait until /healthz of kube-proxy answers 200'
        : 'start kube-proxy, and wait until its /healthz answers 200: what was put back follows no change of Services',
      `stop the agent${stops === '' ? '' : `: ${stops}`}`,
      'switchyard cleanup',
    ];
    this.#document.remains = remains;
    this.line(['What remains to be done:', ...remains.map((text) => `  ${text}`)].join('\n'));
  }

  /** Throws a ToolError `SY_SWITCH_FAILED` or `SY_AGENT_ANSWER` when the news did not end well. */
  throwIfFailed(): void {
    if (this.#last === undefined || this.#last.step === 'done') return;
    const { step, text } = this.#last;
    if (step === 'failed' || step === 'undone') throw new ToolError('SY_SWITCH_FAILED', text);
    throw new ToolError(
      'SY_AGENT_ANSWER',
      `The agent ended before it was done, at: ${text}. It goes on when it runs again; see its log.`,
    );
  }

  /** Prints the document, if one is wanted. */
  end(): void {
    if (this.#isDocument) this.#output.out(`${JSON.stringify(this.#document, undefined, 2)}\n`);
  }

  #unsaved(unsaved: readonly string[]): void {
    this.#document.unsaved = unsaved;
    if (unsaved.length === 0) return;
    this.line(['--undo cannot put back:', ...unsaved.map((text) => `  ${text}`)].join('\n'));
  }
}
