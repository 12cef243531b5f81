/** Reads by record: the Get…Records methods and the counts of records. */
import { nsid, recordsMethods } from '../../atproto/collection.ts';
import { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { tableCode } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import { writeInteractionCounts } from '../answer/interaction-counts.ts';
import { writePostRecords, writeRecords } from '../answer/records.ts';
import { type KnownCollection, knownCollection } from '../lookup/row-finder.ts';
import { prefetching, type RowKey } from './prefetch.ts';
import type { ReadContext } from './read-context.ts';

const post = knownCollection(nsid.post);

/** Keys of the records that a request's URIs name and that are not remembered. */
function* recordKeys(
  { finder, records }: ReadContext,
  request: Buffer,
  collection: KnownCollection,
): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'uris');
  while (scanner.nextOf(fieldNumber.GetPostRecordsRequest.uris)) {
    const key = finder.keyOf(request, scanner.start, scanner.end, tableCode.record, collection, false);
    if (key !== undefined && !records.cache.has(finder.state, key))
      yield { state: finder.state, key: Buffer.from(key) };
  }
}

/** Keys of the counts of the records that a request's references name. */
function* countKeys({ finder, records }: ReadContext, request: Buffer): Generator<RowKey> {
  const scanner = new FieldScanner(request, 'refs');
  const inner = new FieldScanner(request, 'refs', 0, 0);
  while (scanner.nextOf(fieldNumber.GetInteractionCountsRequest.refs)) {
    inner.reset(request, scanner.start, scanner.end).lastOf(fieldNumber.RecordRef.uri);
    const key = finder.keyOf(request, inner.start, inner.end, tableCode.recordCounts, post, true);
    if (key !== undefined && !records.cache.has(finder.state, key))
      yield { state: finder.state, key: Buffer.from(key) };
  }
}

/** The handlers of reads by record. */
export function recordReads(context: ReadContext): Map<string, CallHandler> {
  const { answer, finder, records } = context;
  const handlers = new Map<string, CallHandler>();
  for (const row of recordsMethods) {
    const collection = knownCollection(row.nsid);
    const read = (request: Buffer): Buffer => {
      writeRecords(answer.clear(), finder, records, request, collection);
      return answer.view();
    };
    handlers.set(
      `bsky.${row.recordsMethod}`,
      prefetching(context, read, (request) => recordKeys(context, request, collection)),
    );
  }
  const readPosts = (request: Buffer): Buffer => {
    writePostRecords(answer.clear(), finder, records, request, post);
    return answer.view();
  };
  const readCounts = (request: Buffer): Buffer => {
    writeInteractionCounts(answer.clear(), finder, records.cache, request);
    return answer.view();
  };
  handlers.set(
    'bsky.GetPostRecords',
    prefetching(context, readPosts, (request) => recordKeys(context, request, post)),
  );
  handlers.set(
    'bsky.GetInteractionCounts',
    prefetching(context, readCounts, (request) => countKeys(context, request)),
  );
  return handlers;
}
