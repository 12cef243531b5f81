/**
 * Which of two slots has lost the tail of its log, by comparing how far a target has the effects of
 * a source with what the source has made and knows to be delivered.
 */
import type { Clock } from '../base/clock.ts';
import { type EffectPosition, type KnownPosition, seqOfMark } from '../log/chunk.ts';
import { hasInPast, type SlotMeta } from './slot-meta.ts';
import { deliveredMark, inheritedMark } from './table/outbox.ts';
import type { SlotState } from './table/slot-state.ts';

/** `follows`: the source goes on above the position. Else which one lost its tail. */
export type EffectVerdict = 'follows' | 'source-lost' | 'target-lost';

/** Returns the number of a generation that begins now, after one that is known; 0 for none. */
export function generationAfter(known: number, clock: Clock): number {
  return Math.max(known + 1, Math.floor(clock.nowMs() / 1000));
}

const unknownPosition: EffectPosition = { generation: 0, session: 0, lastMark: 0 };

/**
 * Judges the position of a target that may have nothing of the source but what its parent sent.
 *
 * A child follows until the target has heard of the split. One that is past it without that, or
 * holds a later generation of the parent, has lost it, or never will hear of it.
 */
export function judgeKnownPosition(
  source: SlotState,
  meta: SlotMeta,
  target: number,
  { isParents, ...at }: KnownPosition,
): EffectVerdict {
  if (!isParents) return judgePosition(source, meta, target, at);
  const inherited = inheritedMark(source, target);
  if (inherited === 0) return judgePosition(source, meta, target, unknownPosition);
  const isPast = at.generation === meta.generation && seqOfMark(at.lastMark) >= seqOfMark(inherited);
  return isPast || at.generation > meta.generation ? 'target-lost' : 'follows';
}

/**
 * Judges the position of a target. `delivered` is the mark that the target had acknowledged before
 * it was asked for its position, by default all that it has acknowledged by now.
 */
export function judgePosition(
  source: SlotState,
  meta: SlotMeta,
  target: number,
  at: EffectPosition,
  delivered = deliveredMark(source, target),
): EffectVerdict {
  if (at.generation > meta.generation) return 'source-lost';
  if (at.generation < meta.generation) return delivered > 0 ? 'target-lost' : 'follows';
  if (!hasInPast(meta, at.session, seqOfMark(at.lastMark))) return 'source-lost';
  return at.lastMark < delivered ? 'target-lost' : 'follows';
}
