/**
 * Answers `slot.records`: the JSON of many records by AT-URI, copied without decoding it.
 *
 * Refuses: more URIs than `recordBatchItemsMax`, answers above `answerBytesMax`, slots of other
 * nodes, URIs that name no record.
 */
import { ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { recordBatchItemsMax, recordBatchVersion } from '../../wire/record-batch.ts';
import type { StoredRecords } from '../answer/stored-records.ts';
import type { RowFinder } from '../lookup/row-finder.ts';

export type RecordBatchOptions = {
  readonly finder: RowFinder;
  readonly records: StoredRecords;
};

/** Returns the handler of `slot.records`, whose answers alias one buffer. */
export function createRecordBatchHandler({ finder, records }: RecordBatchOptions): CallHandler {
  const answer = new ByteWriter(64 * 1024);
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
      if (key === undefined && !finder.isUri)
        reader.fail(`not the AT-URI of a record: ${buffer.utf8Slice(start, reader.position).slice(0, 200)}`);
      const record = key === undefined ? undefined : records.readJson(finder.state, key);
      if (record === undefined) answer.u8(0);
      else addJson(answer, record.source, record.jsonStart, record.jsonEnd);
    }
    reader.end();
    return answer.view();
  };
}

function addJson(answer: ByteWriter, source: Buffer, start: number, end: number): void {
  if (answer.length + end - start > answerBytesMax)
    throw new DataPlaneError('ResourceExhausted', `the answer passes answerBytesMax (${answerBytesMax})`);
  answer.varint(end - start + 1).raw(source, start, end);
}
