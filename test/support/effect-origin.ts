/** The origin of chunks of effects, as a sender writes it. */
import type { EffectOrigin, KnownMark } from '../../src/log/chunk.ts';

export const noMark: KnownMark = { session: 0, mark: 0 };

type Source = {
  readonly index: number;
  readonly generation: number;
  readonly session: number;
  readonly slots: number;
};

/**
 * Returns the origin of effects that follow a mark; `known` is the target's verified position,
 * `targetSlots` how many slots the target is one of, by default as many as the source is.
 */
export function originOf(
  source: Source,
  previousMark: number,
  known = noMark,
  targetSlots = source.slots,
): EffectOrigin {
  const { index: slot, generation, session } = source;
  return { slot, generation, session, previousMark, known, targetSlots };
}
