/**
 * Pages of GetAuthorFeed: an actor's posts and reposts, newest first, without reposts of posts that
 * do not exist.
 */

import { collections, nsid } from '../../atproto/collection.ts';
import { isSameBytes } from '../../base/bytes.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { feedType, fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { feedFlag, feedPrefix } from '../../slot/table/feed-item.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom } from '../lookup/page.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';

const { items, cursor } = fieldNumber.GetAuthorFeedResponse;
const itemField = fieldNumber.AuthorFeedItem;
const postCode = collections.post.code;
/** Rows read for one page; a page with few matches may end early, with a token. */
const rowsScannedMax = 5_000;

/** True when a feed of this type shows an item with these flags. */
function isInFeed(type: number, flags: number, isPost: boolean): boolean {
  if ((flags & feedFlag.postExists) === 0) return false;
  switch (type) {
    case feedType.POSTS_WITH_MEDIA:
      return isPost && (flags & feedFlag.media) !== 0;
    case feedType.POSTS_WITH_VIDEO:
      return isPost && (flags & feedFlag.video) !== 0;
    case feedType.POSTS_NO_REPLIES:
      return !isPost || (flags & feedFlag.reply) === 0;
    case feedType.POSTS_AND_AUTHOR_THREADS:
      return !isPost || (flags & feedFlag.reply) === 0 || (flags & feedFlag.ownThread) !== 0;
    default:
      return true;
  }
}

/** Writes a page of an author's feed. Errors: DataPlaneError `InvalidArgument` for a bad token. */
export function writeAuthorFeed(
  into: MessageWriter,
  state: SlotState,
  did: string,
  type: number,
  page: PageRequest,
): void {
  const limit = pageLimit(page.limit);
  const owner = ownerOfDid(state, did) ?? noOwner;
  const { prefix, start, after } = walkFrom(feedPrefix(owner), page.cursor, 'GetAuthorFeedRequest.cursor');
  if (limit === 0) return;
  const collectionAt = prefix.length + timeBytes;
  const postHead = Buffer.from(`at://${did}/${nsid.post}/`);
  const repostHead = Buffer.from(`at://${did}/${nsid.repost}/`);
  let last: Buffer | null = null;
  let hasMore = false;
  let count = 0;
  let scanned = 0;
  state.rows.visit({ start, end: prefix, isReverse: true, limit: rowsScannedMax + 1 }, ({ key, keyLength, value }) => {
    if (scanned === 0 && after?.length === keyLength && isSameBytes(key, 0, after, 0, keyLength)) return true;
    scanned++;
    const isPost = key[collectionAt] === postCode;
    if (isInFeed(type, value[0]!, isPost)) {
      hasMore = count === limit;
      if (hasMore) return false;
      count++;
      if (isPost) writePost(into, postHead, key, collectionAt + 1);
      else writeRepost(into, value, repostHead, key, collectionAt + 1);
    }
    hasMore = scanned === rowsScannedMax;
    if (count === limit || hasMore) last = Buffer.from(key.subarray(0, keyLength));
    return !hasMore;
  });
  if (scanned === 0) requireWhole(state);
  if (hasMore) into.textField(cursor, keyToken(last!, prefix.length));
}

function writePost(into: MessageWriter, head: Buffer, key: Buffer, rkeyAt: number): void {
  const item = into.begin(items, 1);
  const uri = into.begin(itemField.uri, 1);
  appendRkey(into.bytes(head), key, rkeyAt);
  into.end(uri, 1);
  into.end(item, 1);
}

function writeRepost(into: MessageWriter, value: Buffer, head: Buffer, key: Buffer, rkeyAt: number): void {
  const item = into.begin(items, 2);
  const uri = into.begin(itemField.uri, 1);
  appendRecordUri(into, value, 1);
  into.end(uri, 1);
  const repost = into.begin(itemField.repost, 1);
  appendRkey(into.bytes(head), key, rkeyAt);
  into.end(repost, 1);
  into.end(item, 2);
}
