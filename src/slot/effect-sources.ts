/** How far the effects of each source slot are applied: a row a source, by its number. */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { type EffectOrigin, readMark, writeMark } from '../log/chunk.ts';
import { beginSlotKey, type SlotState, tableCode } from './table/slot-state.ts';

type Source = { readonly generation: number; readonly lastMark: number };

const unknownSource: Source = { generation: 0, lastMark: 0 };
const writer = new ByteWriter(16);

function sourceKey(slot: number): Buffer {
  return beginSlotKey(tableCode.source).u16(slot).finish();
}

export class EffectSources {
  readonly #state: SlotState;
  readonly #sources = new Map<number, Source>();

  constructor(state: SlotState) {
    this.#state = state;
  }

  /** Drops what is cached, after an aborted transaction. */
  reload(): void {
    this.#sources.clear();
  }

  of(slot: number): Source {
    const cached = this.#sources.get(slot);
    if (cached !== undefined) return cached;
    const value = this.#state.rows.get(sourceKey(slot));
    const reader = value === undefined ? undefined : new ByteReader(value);
    const source = reader === undefined ? unknownSource : { generation: reader.u32(), lastMark: readMark(reader) };
    this.#sources.set(slot, source);
    return source;
  }

  /** Returns the last mark applied of the generation that sends now. */
  lastMark({ slot, generation }: EffectOrigin): number {
    const source = this.of(slot);
    return generation === source.generation ? source.lastMark : 0;
  }

  /** Sets the last mark applied; `put` writes it, once for all effects of a chunk. */
  pass({ slot, generation }: EffectOrigin, lastMark: number): void {
    this.#sources.set(slot, { generation, lastMark });
  }

  put(slot: number): void {
    const { generation, lastMark } = this.of(slot);
    writeMark(writer.u32(generation), lastMark);
    this.#state.rows.put(sourceKey(slot), writer.finish());
  }
}
