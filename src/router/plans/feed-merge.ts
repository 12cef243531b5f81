/** Merges nodes' lists of feed items into a page, by copying the items' bytes. */
import { type FeedPosition, feedItemAt, feedTimeMs, type RawFeed } from '../../wire/feed-messages.ts';

/** A list, of which only the first `count` items take part. */
export type FeedPart = { readonly feed: RawFeed; readonly count: number };

/** Items as fields of a GetTimelineResponse; `last` is the position of the last, null if none. */
export type FeedPage = { readonly fields: Buffer; readonly last: FeedPosition | null };

/** A list being merged, with the index and the time of its next item. */
type Head = { readonly feed: RawFeed; readonly count: number; next: number; nextMs: number };

function setNext(head: Head, next: number): void {
  head.next = next;
  head.nextMs = next < head.count ? feedTimeMs(head.feed, next) : Number.NEGATIVE_INFINITY;
}

/** Decodes items to compare their URIs only if their times are equal. */
function isBefore(a: Head, b: Head): boolean {
  if (a.nextMs !== b.nextMs) return a.nextMs > b.nextMs;
  return feedItemAt(a.feed, a.next).itemUri > feedItemAt(b.feed, b.next).itemUri;
}

function firstOf(heads: readonly Head[]): Head | undefined {
  let first: Head | undefined;
  for (const head of heads) {
    if (head.next < head.count && (first === undefined || isBefore(head, first))) first = head;
  }
  return first;
}

/** Merges ordered lists into their first `limit` items. */
export function mergeFeeds(parts: readonly FeedPart[], limit: number): FeedPage {
  const heads: Head[] = parts.map(({ feed, count }) => {
    const head = { feed, count, next: 0, nextMs: 0 };
    setNext(head, 0);
    return head;
  });
  let bytesMax = 0;
  for (const { feed, count } of parts) bytesMax += feed.fieldStarts[count]! - feed.fieldStarts[0]!;
  const fields = Buffer.allocUnsafe(bytesMax);
  let bytes = 0;
  let last: { feed: RawFeed; index: number } | null = null;
  for (let merged = 0; merged < limit; merged++) {
    const head = firstOf(heads);
    if (head === undefined) break;
    const { feed, next: index } = head;
    bytes += feed.buffer.copy(fields, bytes, feed.fieldStarts[index], feed.fieldStarts[index + 1]);
    last = { feed, index };
    setNext(head, index + 1);
  }
  return { fields: fields.subarray(0, bytes), last: last === null ? null : feedItemAt(last.feed, last.index) };
}
