/** Walks the tree: from facts to a mode, with what decided and what would change it. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { Facts } from './facts.ts';
import type { Measurement } from './measure/results.ts';
import { NOTES } from './notes.ts';
import type { Leaf, LeafId, NodeId, Question, QuestionId, Source } from './question.ts';
import { LEAVES, QUESTIONS, ROOT } from './tree.ts';

/** A question on the way to the answer. */
export interface Decision {
  readonly id: QuestionId;
  readonly question: string;
  readonly answer: boolean;
  /** What was seen. */
  readonly because: string;
  /** Nobody knows, and it was taken for the answer. */
  readonly isAssumed: boolean;
  /** How to find out; `undefined` when it is known. */
  readonly findOut: string | undefined;
}

/** Another answer to one question, and the mode that follows. */
interface Alternative {
  readonly question: string;
  readonly answer: boolean;
  readonly leadsTo: string;
}

/** The advice. */
export interface Advice {
  /** `undefined`: none. */
  readonly mode: PlaneMode | undefined;
  /** The mode, or why there is none. */
  readonly text: string;
  readonly decisions: readonly Decision[];
  readonly alternatives: readonly Alternative[];
  readonly notes: readonly { readonly text: string; readonly sources: readonly Source[] }[];
  readonly commands: readonly string[];
  readonly measured: Measurement | undefined;
}

/** Answers that are taken in place of those that the facts give. */
type Overrides = ReadonlyMap<QuestionId, boolean>;

/** Advises. */
export function advise(facts: Facts): Advice {
  const { leaf, decisions } = walk(facts, new Map());
  const alternatives = decisions.flatMap(({ id, question, answer }) => {
    const other = walk(facts, new Map([[id, !answer]])).leaf;
    return other === leaf ? [] : [{ question, answer: !answer, leadsTo: other.text }];
  });
  const { mode, text } = leaf;
  return {
    mode,
    text,
    decisions,
    alternatives,
    notes:
      mode === undefined
        ? []
        : NOTES.filter(({ applies }) => applies(mode, facts)).map((note) => ({
            text: note.text,
            sources: note.sources,
          })),
    commands: mode === undefined ? [] : commandsTo(mode, facts),
    measured: facts.measured,
  };
}

function walk(
  facts: Facts,
  overrides: Overrides,
): { readonly leaf: Leaf; readonly decisions: readonly Decision[] } {
  const decisions: Decision[] = [];
  let at: NodeId = ROOT;
  while (!isLeaf(at)) {
    const { text, see, assume, findOut, yes, no }: Question = QUESTIONS[at];
    const seen = see(facts);
    const answer: boolean = overrides.get(at) ?? seen.answer ?? assume;
    const isAssumed = seen.answer === undefined;
    decisions.push({
      id: at,
      question: text,
      answer,
      because: seen.evidence,
      isAssumed,
      findOut: isAssumed ? findOut : undefined,
    });
    at = answer ? yes : no;
  }
  return { leaf: LEAVES[at], decisions };
}

/** True for the ends of the tree. */
export function isLeaf(id: NodeId): id is LeafId {
  return Object.hasOwn(LEAVES, id);
}

function commandsTo(mode: PlaneMode, { proxy = 'switchyard' }: Facts): readonly string[] {
  const cluster = `switchyard migrate --to ${mode} --kubeconfig FILE`;
  if (proxy === 'kube-proxy') return [`${cluster} --proxy kube-proxy   # a cluster of kubeadm`];
  return [
    `switchyard switch --to ${mode}   # a node where Switchyard runs`,
    `${cluster}   # a cluster of kubeadm, in the place of kube-proxy`,
    `switchyard proxy --proxy-mode ${mode} --manifests DIR   # one machine`,
  ];
}
