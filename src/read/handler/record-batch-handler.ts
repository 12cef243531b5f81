/**
 * Answers `slot.records`: stored records by AT-URI, JSON only, many a call.
 *
 * Owns: the straight path from a URI's bytes to the remembered or stored bytes in the answer: no record is decoded. Refuses:
 * batches above `recordBatchItemsMax`, slots that this node does not serve, URIs that name no record.
 */
import { ByteWriter } from '../../base/bytes.ts';
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

/** Where a record that is not remembered is rendered. */
const json = new MessageWriter();

/** Returns the handler of `slot.records`. Its answers alias one buffer. */
export function createRecordBatchHandler(options: RecordBatchOptions): CallHandler {
  const answer = new ByteWriter(64 * 1024);
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
    answer.clear().u8(recordBatchVersion).varint(count);
    for (let index = 0; index < count; index++) {
      const start = reader.lengthDelimitedRange();
      const key = finder.anyKeyOf(buffer, start, reader.position, tableCode.record);
      if (key !== undefined) addRecord(answer, records, finder.state, key);
      else if (finder.isUri) answer.u8(0);
      else reader.fail(`not the AT-URI of a record: ${buffer.utf8Slice(start, reader.position).slice(0, 200)}`);
    }
    return answer.view();
  };
}

function addRecord(answer: ByteWriter, records: StoredRecords, state: SlotState, key: Buffer): void {
  const row = records.fetch(state, key);
  if (row === null) return addJson(answer, records.cache.bytes, records.cache.jsonStart, records.cache.jsonEnd);
  if (row === undefined) return void answer.u8(0);
  appendRecordJson(json.clear(), row);
  addJson(answer, json.buffer, 0, json.length);
}

function addJson(answer: ByteWriter, source: Buffer, start: number, end: number): void {
  if (answer.length + end - start > payloadBytesMax)
    throw new DataPlaneError('ResourceExhausted', 'the answer passes payloadBytesMax');
  answer.varint(end - start + 1).raw(source, start, end);
}
