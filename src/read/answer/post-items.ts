/** Posts of many authors as items of a list's feed, each with its cid. */
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRkey } from '../../slot/packing/key-text.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import { beginKey, tableCode } from '../../slot/table/slot-state.ts';
import type { CachedAuthor } from '../cache/feed-cache.ts';
import { type FeedRun, feedKeyCollectionAt, keyAt, valueAt } from '../lookup/feed-run.ts';
import { writeCid } from '../lookup/record-answer.ts';
import { freePage, writeItemTimes } from './newest-by-authors.ts';
import type { NewestItems } from './newest-items.ts';

const item = fieldNumber.TimelineFeedItem;
const view = new RecordView();

/** Writes a list of feed items as feed-messages.ts describes it, and frees it. */
export function writePostItems(into: MessageWriter, newest: NewestItems): void {
  writeItemTimes(into, newest);
  const { size, authors, runs, positions } = newest;
  for (let index = 0; index < size; index++) writePostItem(into, authors[index]!, runs[index]!, positions[index]!);
  freePage(newest);
}

function writePostItem(
  into: MessageWriter,
  { postHead, owner, state }: CachedAuthor,
  run: FeedRun,
  position: number,
): void {
  const collectionAt = keyAt(run, position) + feedKeyCollectionAt;
  const start = into.begin(fieldNumber.GetListFeedResponse.items, 2);
  const uri = into.begin(item.uri, 1);
  into.bytes(postHead);
  appendRkey(into, run.bytes, collectionAt + 1);
  into.end(uri, 1);
  // A record's key ends as that of its feed item: with collection and rkey.
  const rest = run.bytes.subarray(collectionAt, valueAt(run, position));
  const row = state.rows.getVolatile(beginKey(owner, tableCode.record).bytes(rest).finish());
  if (row !== undefined) writeCid(into, item.cid, view.read(row));
  into.end(start, 2);
}
