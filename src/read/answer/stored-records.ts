/** Answers with stored records, remembered ones where it can: whole `Record` messages, or only their JSON. */

import { readVarint, varintEnd } from '../../base/varint.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { RecordCache } from '../cache/record-cache.ts';
import { writeAbsentRecord, writeRecord } from '../lookup/record-answer.ts';

/** Returns where the content of a length-delimited field stands whose tag, of one byte, is at `tagAt`. */
function contentAt(source: Buffer, tagAt: number): { start: number; end: number } {
  const length = readVarint(source, tagAt + 1, source.length);
  const start = varintEnd();
  return { start, end: start + length };
}

/** The records of one serving thread. */
export class StoredRecords {
  readonly cache: RecordCache;
  readonly #rendered = new MessageWriter();

  constructor(cache: RecordCache) {
    this.cache = cache;
  }

  /** Writes, as field `number`, the record whose row is `key`, absent ones too. Returns its post flags. */
  write(into: MessageWriter, number: number, state: SlotState, key: Buffer): number {
    const { cache } = this;
    if (cache.find(state, key)) {
      into.bytesField(number, cache.bytes, cache.start, cache.end);
      return cache.postFlags;
    }
    const row = state.rows.getVolatile(key);
    if (row === undefined) {
      writeAbsentRecord(into, number);
      return 0;
    }
    const start = into.length;
    const postFlags = writeRecord(into, number, row);
    if (cache.isWanted) this.#keep(state, key, into.buffer, start, postFlags);
    return postFlags;
  }

  /**
   * Brings the record whose row is `key` into `cache`, whose fields then say where it stands, when it is there or ought to be.
   *
   * Returns: the stored row, as volatile as any, when the cache does not hold the record; undefined for none; null when it does.
   */
  fetch(state: SlotState, key: Buffer): Buffer | undefined | null {
    const { cache } = this;
    if (cache.find(state, key)) return null;
    const row = state.rows.getVolatile(key);
    if (row === undefined || !cache.isWanted) return row;
    const into = this.#rendered.clear();
    const postFlags = writeRecord(into, 1, row);
    return this.#keep(state, key, into.buffer, 0, postFlags) ? null : row;
  }

  /** Remembers the record that was written as the field at `tagAt`; its JSON is the first field of its message. */
  #keep(state: SlotState, key: Buffer, source: Buffer, tagAt: number, postFlags: number): boolean {
    const { start, end } = contentAt(source, tagAt);
    const json = contentAt(source, start);
    return this.cache.keep(state, key, { source, start, end, jsonStart: json.start, jsonEnd: json.end, postFlags });
  }
}
