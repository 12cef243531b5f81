import { type Effect, opsPerEntryMax } from '../../entry/entry.ts';
import type { Brackets } from '../table/bracket.ts';
import type { LongWork } from '../table/long-work.ts';
import { mentionsMax } from '../table/record-values.ts';
import type { SlotState } from '../table/slot-state.ts';

/** All that an apply rule may use, so that replicas agree: no clock, no randomness, no network. */
export type ApplyContext = {
  readonly state: SlotState;
  /** When the entry was appended. Units: ms. */
  readonly appendMs: number;
  /** What long work may still cost in this entry, by `workCostUs`; each effect costs too. */
  workUsLeft: number;
  /** The owner that is known to have no duplicates of edges while its account is deleted. */
  ownerWithoutDuplicates: number | null;
  readonly brackets: Brackets;
  /** True while the slot may lack records and actors that it should have. */
  readonly isIncomplete: boolean;
  /** True from a loss until the slot is complete again, when it sends all that it owes. */
  readonly hasLost: boolean;
  /** True for an effect of a source that sends again all that it owes. */
  readonly isResent: boolean;
  /** True for a DID or a handle of this slot. */
  isOwn(key: string): boolean;
  /** Notes that such a source still owes the row of this key; nothing for any other effect. */
  confirm(key: Buffer): void;
  /** Sends an effect to the slot of its key; one to this slot is applied before the next entry. */
  send(effect: Effect): void;
  /** Does what of this work the entry may still cost; later entries do the rest. */
  longWork(work: LongWork): void;
};

/** Returns when an event counts as seen: hosts may claim any time, but none after the append. */
export function seenMsOf({ appendMs }: ApplyContext, { eventMs }: { readonly eventMs: number }): number {
  return Math.min(eventMs, appendMs);
}

/**
 * What the parts of long work cost. Units: about a microsecond of the apply thread; constants, so
 * that replicas and batches agree on where a step ends.
 */
export const workCostUs = { effect: 15, work: 10, row: 3, reply: 25, record: 40 } as const;

/** What of long work an entry does at once, which is all there is in most cases. */
export const inlineWorkUs = 400;
/** The same of one that begins or ends a whole repo: few of these are about more than this. */
export const inlineRepoWorkUs = 10_000;

/** While long work waits, each eighth entry does a step of it, as if each did an eighth. */
export const entriesPerStep = 8;
export const entryStepUs = 800;
/** The step of a `continue` entry, which an idle slot appends. */
export const idleStepUs = 10_000;

/**
 * Effects of one op, those within the slot included. The most are of an update of a post that is
 * taken down: its mentions are withdrawn, sent and marked, and so are at most one quote and one
 * reply, whose thread notifies or withdraws up to four ancestors each time. Gates judge both, and
 * the reply once more when the question about lists is answered.
 */
const effectsPerOpMax = 3 * (mentionsMax + 3 + 8 + 1 + 4 + 10);
/**
 * Effects that one causes within the slot, most of them one of a reply: each gate's verdict and the
 * count that follows it, a question and its answer, and the ancestors' notices both times.
 */
const effectsPerEffectMax = 3 + 8 + 1 + 1 + 10;
/** A step ends once it has cost its share; what passes that is of one record or one reply. */
const effectsPerStepMax =
  Math.ceil(Math.max(inlineRepoWorkUs, idleStepUs) / workCostUs.effect) * (1 + effectsPerEffectMax) + effectsPerOpMax;
/** Effects of one entry: of its ops, of long work that it begins, of a step of what waits. */
export const effectsOfEntryMax = opsPerEntryMax * effectsPerOpMax + 2 * effectsPerStepMax;
