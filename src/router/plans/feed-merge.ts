/** Merges nodes' lists of feed items into a page, by copying the items' bytes. */
import { copyBytes } from '../../proto/fields.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { encodePageToken } from '../../proto/page-token.ts';
import { feedItemAt, feedTimeMs, type RawFeed } from '../../wire/feed-messages.ts';

/** A list, of which only the first `count` items take part. */
export type FeedPart = { readonly feed: RawFeed; readonly count: number };

/** A list being merged, with the index and the time of its next item. */
type Head = { readonly feed: RawFeed; readonly count: number; next: number; nextMs: number };

function setNext(head: Head, next: number): void {
  head.next = next;
  head.nextMs = feedTimeMs(head.feed, next);
}

/** Decodes items to compare their URIs only if their times are equal. */
function isBefore(a: Head, b: Head): boolean {
  if (a.nextMs !== b.nextMs) return a.nextMs > b.nextMs;
  return feedItemAt(a.feed, a.next).itemUri > feedItemAt(b.feed, b.next).itemUri;
}

/** Of one page after another, each written without an await. */
const page = new MessageWriter();

/**
 * Returns the first `limit` items of ordered lists, as their fields, and after the last item its
 * page token in the field `cursor`; null for no token.
 */
export function mergedPage(parts: readonly FeedPart[], limit: number, cursor: number | null): Buffer {
  page.clear();
  const last = mergeFeeds(page, parts, limit);
  if (cursor !== null && last !== null) {
    const { sortMs, itemUri } = feedItemAt(last.feed, last.index);
    page.textField(cursor, encodePageToken(sortMs, Buffer.from(itemUri)));
  }
  return page.finish();
}

/** Merges ordered lists into their first `limit` items. Returns the last one; null for none. */
function mergeFeeds(
  into: MessageWriter,
  parts: readonly FeedPart[],
  limit: number,
): { readonly feed: RawFeed; readonly index: number } | null {
  const heads: Head[] = [];
  let bytesMax = 0;
  for (const { feed, count } of parts) {
    if (count === 0) continue;
    heads.push({ feed, count, next: 0, nextMs: feedTimeMs(feed, 0) });
    bytesMax += feed.fieldStarts[count]! - feed.fieldStarts[0]!;
  }
  into.reserve(bytesMax);
  let last: { feed: RawFeed; index: number } | null = null;
  for (let merged = 0; merged < limit && heads.length > 0; ) {
    const at = firstOf(heads);
    const { feed, count, next: index } = heads[at]!;
    // The last list is copied at once.
    const copied = heads.length === 1 ? Math.min(limit - merged, count - index) : 1;
    const end = index + copied;
    into.length = copyBytes(into.buffer, into.length, feed.buffer, feed.fieldStarts[index]!, feed.fieldStarts[end]!);
    merged += copied;
    last = { feed, index: end - 1 };
    if (end === count) heads.splice(at, 1);
    else setNext(heads[at]!, end);
  }
  return last;
}

function firstOf(heads: readonly Head[]): number {
  let first = 0;
  for (let at = 1; at < heads.length; at++) if (isBefore(heads[at]!, heads[first]!)) first = at;
  return first;
}
