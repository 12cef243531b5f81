/**
 * Answers `slot.records`: stored records by AT-URI, JSON only, many a call.
 *
 * Owns: the straight path from a URI's bytes to the remembered or stored bytes in the answer: no record is decoded. Refuses:
 * batches above `recordBatchItemsMax`, slots that this node does not serve, URIs that name no record.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { type SlotState, tableCode } from '../../slot/table/slot-state.ts';
import { payloadBytesMax } from '../../wire/frame.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { recordBatchItemsMax, recordBatchVersion } from '../../wire/record-batch.ts';
import type { StoredRecords } from '../answer/stored-records.ts';
import { appendRecordJson } from '../lookup/record-answer.ts';
import { RowFinder } from '../lookup/row-finder.ts';
import { SlotLookup } from '../lookup/slot-lookup.ts';

/** Where the handler finds slots. */
export type RecordBatchOptions = {
  /** How many slots the map has. */
  readonly slots: number;
  /** The reading handle of a slot, or undefined when this node does not serve it. */
  readonly stateOf: (slot: number) => SlotState | undefined;
  readonly records: StoredRecords;
};

/** The answer under way; it is given up when it grew past what most batches need. */
const answerBytesKeptMax = 1024 * 1024;
const varintBytesMax = 8;

class AnswerBuffer {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #length = 0;

  begin(count: number): void {
    if (this.#bytes.length > answerBytesKeptMax) this.#bytes = Buffer.allocUnsafeSlow(64 * 1024);
    this.#bytes[0] = recordBatchVersion;
    this.#length = 1;
    this.#varint(count);
  }

  addNothing(): void {
    this.#reserve(varintBytesMax);
    this.#bytes[this.#length++] = 0;
  }

  /** Copies `source` from `start` to `end`. */
  add(source: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length + varintBytesMax);
    this.#varint(length + 1);
    source.copy(this.#bytes, this.#length, start, end);
    this.#length += length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    if (needed > payloadBytesMax) throw new DataPlaneError('ResourceExhausted', 'the answer passes payloadBytesMax');
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }
}

/** Where a record that is not remembered is rendered. */
const json = new MessageWriter();

/** Returns the handler of `slot.records`. Its answers alias one buffer. */
export function createRecordBatchHandler(options: RecordBatchOptions): CallHandler {
  const answer = new AnswerBuffer();
  const { records } = options;
  const finder = new RowFinder(new SlotLookup(options.slots, options.stateOf));
  return (payload) => {
    const reader = peerReader(payload, nodeCalls.records, 'InvalidArgument');
    if (reader.u8() !== recordBatchVersion) reader.fail('of another version');
    const count = reader.count();
    if (count > recordBatchItemsMax) {
      const problem = `${count} URIs in one batch; recordBatchItemsMax is ${recordBatchItemsMax}`;
      throw new DataPlaneError('ResourceExhausted', problem);
    }
    const { buffer } = reader;
    answer.begin(count);
    for (let index = 0; index < count; index++) {
      const start = reader.lengthDelimitedRange();
      const key = finder.anyKeyOf(buffer, start, reader.position, tableCode.record);
      if (key !== undefined) addRecord(answer, records, finder.state, key);
      else if (finder.isUri) answer.addNothing();
      else reader.fail(`not the AT-URI of a record: ${buffer.utf8Slice(start, reader.position).slice(0, 200)}`);
    }
    return answer.finish();
  };
}

function addRecord(answer: AnswerBuffer, records: StoredRecords, state: SlotState, key: Buffer): void {
  const row = records.fetch(state, key);
  if (row === null) return answer.add(records.cache.bytes, records.cache.jsonStart, records.cache.jsonEnd);
  if (row === undefined) return answer.addNothing();
  appendRecordJson(json.clear(), row);
  answer.add(json.buffer, 0, json.length);
}
