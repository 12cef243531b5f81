/** Reads `Record` messages, or only their JSON, from the cache if possible, else from storage. */

import { readVarint, varintEnd } from '../../base/varint.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { RecordCache, RecordMessage } from '../cache/record-cache.ts';
import { appendRecordJson, writeAbsentRecord, writeRecord } from '../lookup/record-answer.ts';
import { requireWhole } from '../lookup/slot-lookup.ts';

/** Returns the content's range of a length-delimited field, whose tag of one byte is at `tagAt`. */
function contentAt(source: Buffer, tagAt: number): { start: number; end: number } {
  const length = readVarint(source, tagAt + 1, source.length);
  const start = varintEnd();
  return { start, end: start + length };
}

export class StoredRecords {
  readonly cache: RecordCache;
  readonly #rendered = new MessageWriter();

  constructor(cache: RecordCache) {
    this.cache = cache;
  }

  /** Writes the record whose row is `key`, even an absent one. Returns its post flags. */
  write(
    into: MessageWriter,
    number: number,
    state: SlotState,
    key: Buffer,
    hash = this.cache.hashOf(state, key),
  ): number {
    const hit = this.cache.get(state, key, hash);
    if (hit !== undefined) {
      into.bytesField(number, hit.source, hit.start, hit.end);
      return hit.postFlags;
    }
    const row = state.rows.getVolatile(key);
    if (row === undefined) {
      requireWhole(state);
      writeAbsentRecord(into, number);
      return 0;
    }
    const start = into.length;
    const postFlags = writeRecord(into, number, row);
    if (this.cache.shouldAdmit) this.#set(state, key, into.buffer, start, postFlags);
    return postFlags;
  }

  /**
   * Returns the JSON of the record whose row is `key`; undefined for an absent record.
   *
   * Shape: valid until the next call; only `source` and the range of the JSON are meaningful.
   */
  readJson(state: SlotState, key: Buffer, hash = this.cache.hashOf(state, key)): RecordMessage | undefined {
    const hit = this.cache.get(state, key, hash);
    if (hit !== undefined) return hit;
    const row = state.rows.getVolatile(key);
    if (row === undefined) {
      requireWhole(state);
      return undefined;
    }
    const into = this.#rendered.clear();
    if (this.cache.shouldAdmit) {
      const postFlags = writeRecord(into, 1, row);
      return this.#set(state, key, into.buffer, 0, postFlags);
    }
    appendRecordJson(into, row);
    return { source: into.buffer, start: 0, end: into.length, jsonStart: 0, jsonEnd: into.length, postFlags: 0 };
  }

  /** Caches the record written as the field at `tagAt`, whose first field is its JSON. */
  #set(state: SlotState, key: Buffer, source: Buffer, tagAt: number, postFlags: number): RecordMessage {
    const { start, end } = contentAt(source, tagAt);
    const json = contentAt(source, start);
    const message = { source, start, end, jsonStart: json.start, jsonEnd: json.end, postFlags };
    return this.cache.set(state, key, message) ?? message;
  }
}
