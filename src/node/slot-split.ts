/**
 * Splits a slot of an apply thread: a copy, then the entry of its log, then the child's files.
 *
 * The copy is made beside apply, in steps between its transactions, so that the slot applies
 * nothing only for as long as the last rows take. What was begun goes on wherever an earlier
 * process has left it: one that finds a slot that waits for its child copies it anew. So does a
 * replica, which finds the split in the log. Refuses to begin where the child has no room, or the
 * slot would not take the entry.
 */
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { DataPlaneError, errorFromPeer } from '../base/data-plane-error.ts';
import { type ChunkOutcome, encodeEntryChunk } from '../log/chunk.ts';
import { makeChild, unfinishedPath } from '../slot/child-slot.ts';
import type { Slot } from '../slot/slot.ts';
import { Compaction } from '../storage/compaction.ts';
import type { ApplyQueue } from './apply-queue.ts';
import type { SlotCompactor } from './slot-compactor.ts';

/** Of how many slots the two are to be, and where the child goes. */
export type SplitOrder = { readonly slots: number; readonly childPath: string };

/** `signal` ends the copy of a slot that has yet to split. */
export type SplitParts = {
  readonly queue: ApplyQueue;
  /** Leaves the slot alone meanwhile. */
  readonly compactor: SlotCompactor;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** How long a step of the copy holds the thread, and what follows it. Units: ms. */
const stepMs = 4;
const restMs = 4;
const lookMs = 20;
const actingMsMax = 5_000;

async function copySteps(copy: Compaction, { clock, signal }: SplitParts): Promise<void> {
  for (;;) {
    const endMs = clock.monotonicMs() + stepMs;
    if (copy.copySome(() => clock.monotonicMs() >= endMs)) return;
    await clock.sleep(restMs, signal);
    if (signal.aborted) throw new DataPlaneError('Aborted', 'the node is stopping');
  }
}

/** Returns a copy of a slot that lacks only what is written from now on. */
async function copyOf(slot: Slot, path: string, parts: SplitParts): Promise<Compaction> {
  const copy = Compaction.begin(slot.environment, () => slot.requireOnlyWriter(), path);
  try {
    await copySteps(copy, parts);
    await copy.settle();
    await copySteps(copy, parts);
    return copy;
  } catch (thrown) {
    await copy.abandon();
    throw thrown;
  }
}

/** Appends the split to the slot's log. Returns once it is applied. */
async function appendSplit(parts: SplitParts, slot: Slot, slots: number, copy: Compaction): Promise<void> {
  const { queue, clock, signal } = parts;
  await slot.log.noteSplit(slots);
  reachCrashPoint('split-after-note');
  const bytes = encodeEntryChunk(slot.index, [{ kind: 'split', slots }]);
  const given: ChunkOutcome[] = [];
  const outcome = new Promise<void>((resolve) => {
    const onOutcome = (said: ChunkOutcome): void => {
      given.push(said);
      resolve();
    };
    queue.add(slot.index, { bytes, entryCount: 1, onOutcome }, 0);
  });
  // Behind the split that another process has appended, this one has no outcome yet. In a log on a
  // server, more may come before either.
  for (;;) {
    await Promise.race([outcome, clock.sleep(lookMs, signal)]);
    if (given.length > 0 || slot.awaitsChild) break;
    if (signal.aborted) throw new DataPlaneError('Aborted', 'the node is stopping');
    await copySteps(copy, parts);
  }
  const [said] = given;
  if (slot.awaitsChild) return;
  if (said?.status === 'refused') throw errorFromPeer('the apply thread', said.code, said.message);
  throw new DataPlaneError('ApplyStopped', `slot ${slot.index} does not apply its split`);
}

/** Waits until this process acts for a slot, which it does once it has read its log. */
async function untilActing({ clock, signal }: SplitParts, slot: Slot): Promise<void> {
  const endMs = clock.monotonicMs() + actingMsMax;
  while (!slot.own.acts && !slot.awaitsChild && !signal.aborted) {
    if (clock.monotonicMs() > endMs)
      throw new DataPlaneError('Unavailable', `slot ${slot.index} has not read its log yet, and splits then`);
    await clock.sleep(lookMs, signal);
  }
}

/** Splits a slot that has yet to, and makes its child. */
async function splitNow(parts: SplitParts, slot: Slot, { slots, childPath }: SplitOrder): Promise<void> {
  // Else all of it would be copied again at each try.
  slot.quarantine.requireApplying(() => false);
  slot.environment.requireRoom();
  await untilActing(parts, slot);
  if (slot.awaitsChild) return makeChild(slot, childPath);
  const copy = await copyOf(slot, unfinishedPath(childPath), parts);
  try {
    await appendSplit(parts, slot, slots, copy);
    await makeChild(slot, childPath, copy);
  } catch (thrown) {
    await copy.abandon();
    throw thrown;
  }
}

/**
 * Returns once the child is on disk; its parent goes on once it is told so (`childIsMade`).
 *
 * Errors: DataPlaneError `StorageFull`, `ApplyStopped`, `Unavailable` without its log, or `Aborted`
 * when more is written than can be copied, after which it can be asked for again; `ConfigInvalid`
 * for a slot that has split and whose child is lost.
 */
export async function splitSlot(parts: SplitParts, slot: Slot, order: SplitOrder): Promise<void> {
  const { slots, childPath } = order;
  if (slot.slots === slots && !slot.awaitsChild) {
    const child = slot.index + slots / 2;
    throw new DataPlaneError('ConfigInvalid', `slot ${slot.index} has split, and its child is not at ${childPath}`, {
      hint: `Put that folder back; or, if it is lost, start once with --begin-again ${child}, then run \`skyshard repair slot ${child}\`.`,
    });
  }
  await parts.compactor.leave(slot);
  try {
    if (slot.awaitsChild) await makeChild(slot, childPath);
    else await splitNow(parts, slot, order);
  } catch (thrown) {
    // Who writes to it hears so, instead of waiting for room that may never come.
    if (slot.awaitsChild) parts.queue.refuseUntilWoken(slot.index);
    throw thrown;
  } finally {
    parts.compactor.take([slot]);
  }
}
