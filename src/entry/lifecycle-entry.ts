/** Entries by which a slot begins, loses what it had, sends again, and splits. */

/** What a slot holds. `new`: it waits for other nodes to say that it never held more. */
export const slotConditions = ['complete', 'new', 'incomplete'] as const;
export type SlotCondition = (typeof slotConditions)[number];

/**
 * A process has opened the slot: a new session of its log. Appended by the slot itself before all
 * else. The first one of a log founds the slot, with the generation and condition given.
 */
export type OpenedEntry = {
  readonly kind: 'opened';
  /** Differs from that of every other opening. */
  readonly session: number;
  /** Greater than any earlier one. Units: seconds since 1970, unless a clock went back. */
  readonly generation: number;
  readonly condition: SlotCondition;
  /** The name in the shard map, or empty. */
  readonly cluster: string;
};

/**
 * The slot lost the tail of its log in the generation `lostIn`, as its peers know: it goes on in a
 * new one.
 */
export type TailLostEntry = { readonly kind: 'tail-lost'; readonly lostIn: number; readonly generation: number };

/** The slot holds all that it should; one that was incomplete sends all that it owes again. */
export type CompletedEntry = { readonly kind: 'completed' };

/** A target lost what it had: it is sent all that this slot owes it again. */
export type ResendEntry = { readonly kind: 'resend'; readonly target: number };

/** The next step of the resends under way. */
export type ResendStepEntry = { readonly kind: 'resend-step' };

/**
 * The slot splits in two, of `slots` slots: itself and the child, `slots / 2` above it. What of it
 * now hashes to the child is the child's from here on. Nothing, if it has so many slots already.
 */
export type SplitEntry = { readonly kind: 'split'; readonly slots: number };

/** `target` is known to have split, into itself and a child, of `slots` slots. */
export type TargetSplitEntry = { readonly kind: 'target-split'; readonly target: number; readonly slots: number };

/** Entries of a slot's lifecycle, which need its bookkeeping. */
export type LifecycleEntry =
  | OpenedEntry
  | TailLostEntry
  | CompletedEntry
  | ResendEntry
  | ResendStepEntry
  | SplitEntry
  | TargetSplitEntry;

const lifecycleKinds: ReadonlySet<string> = new Set<LifecycleEntry['kind']>([
  'opened',
  'tail-lost',
  'completed',
  'resend',
  'resend-step',
  'split',
  'target-split',
]);

/** True for an entry of a slot's lifecycle. */
export function isLifecycleEntry(entry: { readonly kind: string }): entry is LifecycleEntry {
  return lifecycleKinds.has(entry.kind);
}
