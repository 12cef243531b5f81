/** Answers of the Get…Records methods. */
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { postFlag } from '../../slot/table/record-row.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import { writeAbsentRecord } from '../lookup/record-answer.ts';
import type { KnownCollection, RowFinder } from '../lookup/row-finder.ts';
import type { StoredRecords } from './stored-records.ts';

const { uris } = fieldNumber.GetPostRecordsRequest;
const { records: recordsField, meta: metaField } = fieldNumber.GetPostRecordsResponse;
const metaFieldOf = fieldNumber.PostRecordMeta;

/** Scratch for one request. Grows without a limit, since the router limits the items. */
let flagsOfItems = new Uint8Array(1024);

/** Writes one Record for each URI of a request, in order, and returns their number. */
export function writeRecords(
  into: MessageWriter,
  finder: RowFinder,
  records: StoredRecords,
  request: Buffer,
  collection: KnownCollection,
): number {
  const scanner = new FieldScanner(request, 'uris');
  let count = 0;
  while (scanner.nextOf(uris)) {
    if (count === flagsOfItems.length) {
      const grown = new Uint8Array(count * 2);
      grown.set(flagsOfItems);
      flagsOfItems = grown;
    }
    const key = finder.keyOf(request, scanner.start, scanner.end, tableCode.record, collection);
    if (key === undefined) writeAbsentRecord(into, recordsField);
    flagsOfItems[count++] = key === undefined ? 0 : records.write(into, recordsField, finder.state, key);
  }
  return count;
}

/** Writes the records of a request, then one PostRecordMeta for each. */
export function writePostRecords(
  into: MessageWriter,
  finder: RowFinder,
  records: StoredRecords,
  request: Buffer,
  collection: KnownCollection,
): void {
  const count = writeRecords(into, finder, records, request, collection);
  for (let index = 0; index < count; index++) {
    const flags = flagsOfItems[index]!;
    const start = into.begin(metaField, 1);
    if ((flags & postFlag.violatesThreadGate) !== 0) into.trueField(metaFieldOf.violatesThreadGate);
    if ((flags & postFlag.violatesEmbeddingRules) !== 0) into.trueField(metaFieldOf.violatesEmbeddingRules);
    if ((flags & postFlag.hasPostGate) !== 0) into.trueField(metaFieldOf.hasPostGate);
    if ((flags & postFlag.hasThreadGate) !== 0) into.trueField(metaFieldOf.hasThreadGate);
    into.end(start, 1);
  }
}
