/** How far the effects of each source slot are applied: a row a source, by its number. */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import {
  type Chunk,
  type EffectOrigin,
  type EffectPosition,
  type KnownPosition,
  readMark,
  writeMark,
} from '../log/chunk.ts';
import { parentOf } from '../shardmap/slot-of.ts';
import { beginSlotKey, type SlotState, tableCode } from './table/slot-state.ts';

const unknownSource: EffectPosition = { generation: 0, session: 0, lastMark: 0 };
const writer = sharedWriter(16);

function sourceKey(slot: number): Buffer {
  return beginSlotKey(tableCode.source).u16(slot).finish();
}

/** Returns how far a slot has the effects of a source, as its disk says. */
export function positionOf(state: SlotState, source: number): EffectPosition {
  const value = state.rows.get(sourceKey(source));
  if (value === undefined) return unknownSource;
  const reader = new ByteReader(value);
  return { generation: reader.u32(), session: reader.u32(), lastMark: readMark(reader) };
}

/**
 * Returns how far a slot has the effects of a source; where it has none, how far those of the slot
 * from which that may have come by a split. A child waits for word that all of these are here.
 */
export function knownPositionOf(source: number, positionOfSource: (source: number) => EffectPosition): KnownPosition {
  const at = positionOfSource(source);
  if (at.generation > 0 || source === 0) return { ...at, isParents: false };
  return { ...positionOfSource(parentOf(source)), isParents: true };
}

/**
 * Returns whether a chunk is new to a target at a position, or a repeat, or leaves a gap.
 *
 * A chunk of another session than the last one follows only if its source has found the position in
 * its own past: the marks of a source that was put back to an older copy are those of another past.
 */
export function relationOf({ origin, marks }: Chunk, at: EffectPosition): 'new' | 'repeat' | 'gap' {
  if (origin === null) return 'new';
  if (origin.generation < at.generation) return 'gap';
  const isSameGeneration = origin.generation === at.generation;
  const { known } = origin;
  const isKnown = known.session === at.session && known.mark === at.lastMark;
  if (isSameGeneration && origin.session !== at.session && !isKnown) return 'gap';
  const lastMark = isSameGeneration ? at.lastMark : 0;
  if (origin.previousMark > lastMark) return 'gap';
  return marks.length === 0 || marks.at(-1)! <= lastMark ? 'repeat' : 'new';
}

/** Returns the position of a target that has applied a chunk of effects. */
export function positionAfter({ origin, marks }: Chunk): EffectPosition {
  invariant(origin !== null, 'effects have an origin');
  return { generation: origin.generation, session: origin.session, lastMark: marks.at(-1) ?? 0 };
}

export class EffectSources {
  readonly #state: SlotState;
  readonly #sources = new Map<number, EffectPosition>();

  constructor(state: SlotState) {
    this.#state = state;
  }

  /** Drops what is cached, after an aborted transaction. */
  reload(): void {
    this.#sources.clear();
  }

  of(slot: number): EffectPosition {
    const cached = this.#sources.get(slot);
    if (cached !== undefined) return cached;
    const source = positionOf(this.#state, slot);
    this.#sources.set(slot, source);
    return source;
  }

  /** Returns the last mark applied of the generation that sends now. */
  lastMark({ slot, generation }: EffectOrigin): number {
    const source = this.of(slot);
    return generation === source.generation ? source.lastMark : 0;
  }

  /** Sets the last mark applied; `put` writes it, once for all effects of a chunk. */
  pass({ slot, generation, session }: EffectOrigin, lastMark: number): void {
    this.#sources.set(slot, { generation, session, lastMark });
  }

  /** Lets a child go on where its parent was at its split. */
  inherit(child: number, at: EffectPosition): void {
    this.#sources.set(child, at);
    this.put(child);
  }

  /** Forgets a source. */
  remove(slot: number): void {
    this.#sources.delete(slot);
    this.#state.rows.remove(sourceKey(slot));
  }

  put(slot: number): void {
    const { generation, session, lastMark } = this.of(slot);
    writeMark(writer.u32(generation).u32(session), lastMark);
    this.#state.rows.put(sourceKey(slot), writer.finish());
  }
}
