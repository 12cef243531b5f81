/** What slots say to each other about the gates of posts. */
import type { RecordRef } from '../atproto/compact-key.ts';

/** The gates of a post: who may reply to its thread, and who may quote it. */
export const gates = ['thread', 'post'] as const;
export type Gate = (typeof gates)[number];

/** A version of a post as gates judge it. */
export type Judged = {
  /** When it was indexed; of a post that is not present, when it was deleted. Units: ms. */
  readonly eventMs: number;
  /** The first 48 bits of its CID's digest. */
  readonly version: number;
  /** What its author's slot holds: the verdict that it has heard. */
  readonly isViolating: boolean;
};

/**
 * `verdict`: whether a gate forbids a post, in answer to its `thread` or `edge`.
 * `gate-question`, `gate-answer`: whether a reply's author is on one of the lists of a gate, or
 * follows the author of the root.
 */
export type GateEffect =
  | {
      readonly type: 'verdict';
      readonly gate: Gate;
      readonly post: RecordRef;
      readonly version: number;
      readonly isViolating: boolean;
    }
  | {
      readonly type: 'gate-question';
      readonly root: RecordRef;
      readonly reply: RecordRef;
      readonly version: number;
      /** When the reply was indexed: lists and follows count as they were then. */
      readonly indexedMs: number;
      readonly allowsFollowers: boolean;
      readonly lists: readonly RecordRef[];
    }
  | {
      readonly type: 'gate-answer';
      readonly root: RecordRef;
      readonly reply: RecordRef;
      readonly version: number;
      readonly isAllowed: boolean;
    };
