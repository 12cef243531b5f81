/** Reads by record: the Get…Records methods and GetInteractionCounts. */
import { type Collection, nsid, recordsMethods } from '../../atproto/collection.ts';
import { invariant } from '../../base/invariant.ts';
import { FieldScanner, fieldOf } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import { nodeCalls, readCall } from '../../wire/node-calls.ts';
import { writeInteractionCounts } from '../answer/interaction-counts.ts';
import { writePackCounts } from '../answer/pack-counts.ts';
import { writePostRecords, writeRecords } from '../answer/records.ts';
import { type KnownCollection, knownCollection } from '../lookup/row-finder.ts';
import type { RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';
import { byItem, type ReadRow } from './read-row.ts';

/** Yields the keys of a request's records that are not cached. */
function* recordKeys(
  { finder, records }: ReadContext,
  request: Buffer,
  collection: KnownCollection,
): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'uris');
  while (scanner.nextOf(urisNumber)) {
    const key = finder.keyOf(request, scanner.start, scanner.end, tableCode.record, collection);
    if (key !== undefined && !records.cache.has(finder.state, key))
      yield { state: finder.state, key: Buffer.from(key) };
  }
}

/** Yields the keys of a request's counts that are not cached. */
function* countKeys({ finder, records }: ReadContext, request: Buffer): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'refs');
  const inner = new FieldScanner(request, 'refs', 0, 0);
  while (scanner.nextOf(fieldNumber.GetInteractionCountsRequest.refs)) {
    inner.reset(request, scanner.start, scanner.end).lastOf(fieldNumber.RecordRef.uri);
    const key = finder.anyKeyOf(request, inner.start, inner.end, tableCode.recordCounts);
    if (key !== undefined && !records.cache.has(finder.state, key))
      yield { state: finder.state, key: Buffer.from(key) };
  }
}

const { records: recordsNumber } = fieldNumber.GetPostRecordsResponse;
const { uris: urisNumber } = fieldNumber.GetPostRecordsRequest;

/** All Get…Records methods are read and written with the field numbers of GetPostRecords. */
function recordsRead({ recordsMethod: method, nsid: collectionNsid }: (typeof recordsMethods)[number]): ReadRow {
  const hasSameNumbers =
    fieldOf(`${method}Request`, 'uris').number === urisNumber &&
    fieldOf(`${method}Response`, 'records').number === recordsNumber;
  invariant(hasSameNumbers, `${method} has the field numbers of GetPostRecords`);
  return recordsOf(readCall(method), collectionNsid, method === 'GetPostRecords' ? writePostRecords : writeRecords);
}

/** A call with the messages of GetPostRecords, for one collection. */
function recordsOf(call: string, collectionNsid: Collection, write = writeRecords): ReadRow {
  const collection = knownCollection(collectionNsid);
  return byItem(
    call,
    (into, context, request) => write(into, context, request, collection),
    (context, request) => recordKeys(context, request, collection),
  );
}

export const recordReads: readonly ReadRow[] = [
  ...recordsMethods.map(recordsRead),
  recordsOf(nodeCalls.siteDocuments, nsid.siteDocument),
  recordsOf(nodeCalls.sitePublications, nsid.sitePublication),
  byItem('bsky.GetInteractionCounts', writeInteractionCounts, countKeys),
  byItem('bsky.GetStarterPackCounts', (into, { lookup, turn, clock }, request) =>
    writePackCounts(into, { lookup, turn, nowMs: clock.nowMs() }, request),
  ),
];
