/**
 * Answers `slot.records`: the JSON of many records by AT-URI, copied without decoding it.
 *
 * Refuses: more URIs than `recordBatchItemsMax`, answers above `answerBytesMax`, slots of other
 * nodes, URIs that name no record.
 */
import { type ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';
import { peerReader } from '../../wire/peer-bytes.ts';
import { recordBatchItemsMax, recordBatchVersion } from '../../wire/record-batch.ts';
import { ItemGroup } from '../answer/item-group.ts';
import type { StoredRecords } from '../answer/stored-records.ts';
import { touchedDidsMax as groupMax } from '../lookup/owner-finder.ts';
import type { RowFinder } from '../lookup/row-finder.ts';

export type RecordBatchOptions = {
  readonly finder: RowFinder;
  readonly records: StoredRecords;
};

/** Returns the handler of `slot.records`, whose answers alias one buffer. */
export function createRecordBatchHandler({ finder, records }: RecordBatchOptions): CallHandler {
  const answer = new ByteWriter(64 * 1024);
  const group = new ItemGroup(finder, records.cache);
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
      takeUris(group, finder, reader, Math.min(left, groupMax));
      for (let index = 0; index < group.size; index++) {
        const key = group.key(index);
        const record = key === undefined ? undefined : records.readJson(group.state(index), key, group.hash(index));
        if (record === undefined) answer.u8(0);
        else addJson(answer, record.source, record.jsonStart, record.jsonEnd);
      }
    }
    reader.end();
    return answer.view();
  };
}

/** Reads so many URIs. Errors: those of the reader, and of text that is no AT-URI of a record. */
function takeUris(group: ItemGroup, finder: RowFinder, reader: ByteReader, size: number): void {
  for (let index = 0; index < size; index++) {
    group.starts[index] = reader.lengthDelimitedRange();
    group.ends[index] = reader.position;
  }
  const { buffer } = reader;
  group.locate(buffer, size, (start, end) => {
    const key = finder.anyKeyOf(buffer, start, end, tableCode.record);
    if (key === undefined && !finder.isUri)
      reader.fail(`not the AT-URI of a record: ${buffer.utf8Slice(start, end).slice(0, 200)}`);
    return key;
  });
}

function addJson(answer: ByteWriter, source: Buffer, start: number, end: number): void {
  if (answer.length + end - start > answerBytesMax)
    throw new DataPlaneError('ResourceExhausted', `the answer passes answerBytesMax (${answerBytesMax})`);
  answer.varint(end - start + 1).raw(source, start, end);
}
