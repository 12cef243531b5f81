/**
 * Answers `slot.records`: the JSON of many records by AT-URI, copied without decoding it.
 *
 * Refuses: more URIs than `recordBatchItemsMax`, answers above `answerBytesMax`, slots of other
 * nodes, URIs that name no record.
 */
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { type SlotState, tableCode } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { recordBatchItemsMax, recordBatchVersion } from '../../wire/record-batch.ts';
import type { StoredRecords } from '../answer/stored-records.ts';
import type { RecordMessage } from '../cache/record-cache.ts';
import { touchedDidsMax as groupMax } from '../lookup/owner-finder.ts';
import { type RowFinder, tidKeyBytes } from '../lookup/row-finder.ts';

export type RecordBatchOptions = {
  readonly finder: RowFinder;
  readonly records: StoredRecords;
};

/** Returns the handler of `slot.records`, whose answers alias one buffer. */
export function createRecordBatchHandler({ finder, records }: RecordBatchOptions): CallHandler {
  const answer = new ByteWriter(64 * 1024);
  const group = new UriGroup(finder, records);
  return (payload) => {
    const reader = peerReader(payload, nodeCalls.records, 'InvalidArgument');
    if (reader.u8() !== recordBatchVersion) reader.fail('of another version');
    const count = reader.count();
    if (count > recordBatchItemsMax) {
      const problem = `${count} URIs in one batch; recordBatchItemsMax is ${recordBatchItemsMax}`;
      throw new DataPlaneError('ResourceExhausted', problem);
    }
    answer.clear().u8(recordBatchVersion).varint(count);
    for (let left = count; left > 0; left -= group.size) {
      group.take(reader, Math.min(left, groupMax));
      for (let index = 0; index < group.size; index++) {
        const record = group.readJson(index);
        if (record === undefined) answer.u8(0);
        else addJson(answer, record.source, record.jsonStart, record.jsonEnd);
      }
    }
    reader.end();
    return answer.view();
  };
}

/**
 * Consecutive URIs of a batch whose memory is asked for at once: most of a look-up is waiting for
 * memory. Few enough that none of it is evicted before it is used.
 */
class UriGroup {
  size = 0;
  readonly #finder: RowFinder;
  readonly #records: StoredRecords;
  readonly #starts = new Int32Array(groupMax);
  readonly #ends = new Int32Array(groupMax);
  readonly #hashes = new Int32Array(groupMax);
  readonly #states = new Array<SlotState | undefined>(groupMax).fill(undefined);
  readonly #keys = new Array<Buffer | undefined>(groupMax).fill(undefined);
  /** For keys of the usual length, which need no memory of their own. */
  readonly #usualKeys = Array.from({ length: groupMax }, () => Buffer.allocUnsafeSlow(tidKeyBytes));

  constructor(finder: RowFinder, records: StoredRecords) {
    this.#finder = finder;
    this.#records = records;
  }

  /** Reads so many URIs. Errors: those of the reader, and of text that is no AT-URI of a record. */
  take(reader: ByteReader, size: number): void {
    this.size = size;
    for (let index = 0; index < size; index++) {
      this.#starts[index] = reader.lengthDelimitedRange();
      this.#ends[index] = reader.position;
    }
    this.#finder.touchOwners(reader.buffer, this.#starts, this.#ends, size);
    let found = 0;
    for (let index = 0; index < size; index++) {
      const key = this.#keyOf(reader, index);
      this.#keys[index] = key;
      if (key === undefined) continue;
      this.#states[index] = this.#finder.state;
      this.#hashes[found++] = this.#records.cache.hashOf(this.#finder.state, key);
    }
    this.#records.cache.touch(this.#hashes, found);
  }

  /** See `StoredRecords.readJson`. */
  readJson(index: number): RecordMessage | undefined {
    const key = this.#keys[index];
    return key === undefined ? undefined : this.#records.readJson(this.#states[index]!, key);
  }

  #keyOf(reader: ByteReader, index: number): Buffer | undefined {
    const { buffer } = reader;
    const start = this.#starts[index]!;
    const end = this.#ends[index]!;
    const key = this.#finder.anyKeyOf(buffer, start, end, tableCode.record);
    if (key === undefined) {
      if (!this.#finder.isUri) reader.fail(`not the AT-URI of a record: ${buffer.utf8Slice(start, end).slice(0, 200)}`);
      return undefined;
    }
    // The next URI overwrites it.
    if (key.length !== tidKeyBytes) return Buffer.from(key);
    const copy = this.#usualKeys[index]!;
    for (let at = 0; at < tidKeyBytes; at++) copy[at] = key[at]!;
    return copy;
  }
}

function addJson(answer: ByteWriter, source: Buffer, start: number, end: number): void {
  if (answer.length + end - start > answerBytesMax)
    throw new DataPlaneError('ResourceExhausted', `the answer passes answerBytesMax (${answerBytesMax})`);
  answer.varint(end - start + 1).raw(source, start, end);
}
