/** Answers of the Get…Records methods. */
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { postFlag } from '../../slot/table/record-row.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import { writeAbsentRecord } from '../lookup/record-answer.ts';
import type { KnownCollection, RowFinder } from '../lookup/row-finder.ts';
import type { Turn } from '../lookup/turn.ts';
import type { ItemGroup } from './item-group.ts';
import type { StoredRecords } from './stored-records.ts';

const { uris } = fieldNumber.GetPostRecordsRequest;
const { records: recordsField, meta: metaField } = fieldNumber.GetPostRecordsResponse;
const metaFieldOf = fieldNumber.PostRecordMeta;

/** Scratch for one request. Grows without a limit, since the router limits the items. */
let flagsOfItems = new Uint8Array(1024);

function reserveFlags(needed: number): void {
  if (needed <= flagsOfItems.length) return;
  const grown = new Uint8Array(Math.max(needed, flagsOfItems.length * 2));
  grown.set(flagsOfItems);
  flagsOfItems = grown;
}

/** What reads of records need. */
export type RecordReads = {
  readonly finder: RowFinder;
  readonly records: StoredRecords;
  /** Reused by all synchronous reads. */
  readonly group: ItemGroup;
  readonly turn: Turn;
};

/** About what a record takes, and how many bytes are written in a microsecond. */
const record = { micros: 3, bytesPerMicro: 400 } as const;

/** How many items were answered, and whether more were asked for. */
type Written = { readonly count: number; readonly isPartial: boolean };

function writeItems(
  into: MessageWriter,
  { finder, records, group, turn }: RecordReads,
  request: Buffer,
  collection: KnownCollection,
): Written {
  const scanner = new FieldScanner(request, 'uris');
  const keyOf = (start: number, end: number): Buffer | undefined =>
    finder.keyOf(request, start, end, tableCode.record, collection);
  let count = 0;
  let isEnd = false;
  while (group.take(request, scanner, uris, keyOf)) {
    reserveFlags(count + group.size);
    for (let item = 0; item < group.size; item++) {
      if (isEnd) return { count, isPartial: true };
      const before = into.length;
      const key = group.key(item);
      if (key === undefined) {
        writeAbsentRecord(into, recordsField);
        flagsOfItems[count++] = 0;
      } else flagsOfItems[count++] = records.write(into, recordsField, group.state(item), key, group.hash(item));
      const micros = record.micros + Math.trunc((into.length - before) / record.bytesPerMicro);
      isEnd = turn.isItemsEnd(micros, into.length);
    }
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
