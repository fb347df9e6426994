/** What a decision tree is made of. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { Facts } from './facts.ts';

/** Where a claim comes from, and when it was looked at. */
export interface Source {
  readonly text: string;
  /** `YYYY-MM`. */
  readonly date: string;
}

/** What facts say to a question. */
export interface Seen {
  /** `undefined`: they do not say. */
  readonly answer: boolean | undefined;
  /** What was seen: a sentence without its end. */
  readonly evidence: string;
}

/** A question with two answers, each of which leads on. */
export interface Question {
  readonly text: string;
  /** Why it decides. */
  readonly why: string;
  readonly sources: readonly Source[];
  readonly see: (facts: Facts) => Seen;
  /** What is taken for the answer where nobody knows. */
  readonly assume: boolean;
  /** How to find out. */
  readonly findOut: string;
  readonly yes: NodeId;
  readonly no: NodeId;
}

/** Where the tree ends. */
export interface Leaf {
  /** `undefined`: no mode. */
  readonly mode: PlaneMode | undefined;
  readonly text: string;
}

/** Names of questions and leaves. */
export type NodeId = QuestionId | LeafId;

export type QuestionId =
  | 'cni'
  | 'old-kube-proxy'
  | 'schedulers'
  | 'ipvs-for-schedulers'
  | 'nftables'
  | 'keeps-up'
  | 'localhost'
  | 'iptables-for-localhost'
  | 'many-services'
  | 'ipvs-for-many'
  | 'iptables'
  | 'ipvs-at-last';

export type LeafId = 'use-none' | 'use-nftables' | 'use-ipvs' | 'use-iptables' | 'nothing-works';
