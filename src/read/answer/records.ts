/** Answers of the Get…Records methods. */
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { postFlag } from '../../slot/table/record-row.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import { writeAbsentRecord } from '../lookup/record-answer.ts';
import type { KnownCollection, RowFinder } from '../lookup/row-finder.ts';
import type { Turn } from '../lookup/turn.ts';
import type { StoredRecords } from './stored-records.ts';

const { uris } = fieldNumber.GetPostRecordsRequest;
const { records: recordsField, meta: metaField } = fieldNumber.GetPostRecordsResponse;
const metaFieldOf = fieldNumber.PostRecordMeta;

/** Scratch for one request. Grows without a limit, since the router limits the items. */
let flagsOfItems = new Uint8Array(1024);

/** What reads of records need. */
export type RecordReads = { readonly finder: RowFinder; readonly records: StoredRecords; readonly turn: Turn };

/** About what a record takes, and how many bytes are written in a microsecond. */
const record = { micros: 3, bytesPerMicro: 400 } as const;

/** How many items were answered, and whether more were asked for. */
type Written = { readonly count: number; readonly isPartial: boolean };

function writeItems(
  into: MessageWriter,
  { finder, records, turn }: RecordReads,
  request: Buffer,
  collection: KnownCollection,
): Written {
  const scanner = new FieldScanner(request, 'uris');
  let count = 0;
  let isEnd = false;
  while (scanner.nextOf(uris)) {
    if (isEnd) return { count, isPartial: true };
    const before = into.length;
    if (count === flagsOfItems.length) {
      const grown = new Uint8Array(count * 2);
      grown.set(flagsOfItems);
      flagsOfItems = grown;
    }
    const key = finder.keyOf(request, scanner.start, scanner.end, tableCode.record, collection);
    if (key === undefined) writeAbsentRecord(into, recordsField);
    flagsOfItems[count++] = key === undefined ? 0 : records.write(into, recordsField, finder.state, key);
    const micros = record.micros + Math.trunc((into.length - before) / record.bytesPerMicro);
    isEnd = turn.isItemsEnd(micros, into.length);
  }
  return { count, isPartial: false };
}

/** Writes one Record for each URI of a request, in order. Returns as an ItemsWriter does. */
export function writeRecords(
  into: MessageWriter,
  reads: RecordReads,
  request: Buffer,
  collection: KnownCollection,
): number | null {
  const { count, isPartial } = writeItems(into, reads, request, collection);
  return isPartial ? count : null;
}

/** Writes the records of a request, then one PostRecordMeta for each. */
export function writePostRecords(
  into: MessageWriter,
  reads: RecordReads,
  request: Buffer,
  collection: KnownCollection,
): number | null {
  const { count, isPartial } = writeItems(into, reads, request, collection);
  for (let index = 0; index < count; index++) {
    const flags = flagsOfItems[index]!;
    const start = into.begin(metaField, 1);
    if ((flags & postFlag.violatesThreadGate) !== 0) into.trueField(metaFieldOf.violatesThreadGate);
    if ((flags & postFlag.violatesEmbeddingRules) !== 0) into.trueField(metaFieldOf.violatesEmbeddingRules);
    if ((flags & postFlag.hasPostGate) !== 0) into.trueField(metaFieldOf.hasPostGate);
    if ((flags & postFlag.hasThreadGate) !== 0) into.trueField(metaFieldOf.hasThreadGate);
    into.end(start, 1);
  }
  return isPartial ? count : null;
}
