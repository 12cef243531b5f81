/**
 * The bytes of `slot.timeline` and `slot.newestByAuthors`: the newest items of many authors, as a
 * router merges them without reading more than their times.
 */
import { type ByteReader, ByteWriter } from '../base/bytes.ts';
import { readEntryTime, timeAt, timeBytes, writeEntryTime } from '../base/time-bytes.ts';
import { FieldScanner } from '../proto/fields.ts';
import { fieldNumber } from '../proto/generated/bsky-service.ts';
import { wireType } from '../proto/message-decoder.ts';
import { messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * A position in a feed of several authors: items are ordered by sortMs descending, then by itemUri
 * descending as text.
 *
 * Within one author and one millisecond a node may use another fixed order, as long as it continues
 * from every position exactly: routers keep the order of each list and compare URIs only between
 * lists.
 */
export type FeedPosition = { readonly sortMs: number; readonly itemUri: string };

/**
 * One item of an author feed. `itemUri` is the post's own URI, or the repost's; `postUri` is the
 * post that is shown.
 */
export type FeedItem = FeedPosition & { readonly postUri: string };

/**
 * A page of a feed: the first `limit` items after `before` (exclusive); null begins at the newest.
 */
export type FeedRange = { readonly before: FeedPosition | null; readonly limit: number };

/** Lists of items hold fields of a GetTimelineResponse, ready to be copied into it. */
const itemTag = fieldNumber.GetTimelineResponse.items * 8 + wireType.lengthDelimited;
const { uri: uriField, repost: repostField } = fieldNumber.TimelineFeedItem;

/** A list of items within an answer, which it aliases. */
export type RawFeed = {
  readonly buffer: Buffer;
  readonly count: number;
  /** Sort times in the list's order, as six bytes each. Units: position of the first. */
  readonly timesAt: number;
  /** Where each item's field begins, and last where the last one ends. Units: positions. */
  readonly fieldStarts: Int32Array;
};

/** Returns the sort time of an item. Units: ms. */
export function feedTimeMs({ buffer, timesAt }: RawFeed, index: number): number {
  return timeAt(buffer, timesAt + index * timeBytes);
}

/** Returns an item of a list. Errors: DataPlaneError `Internal` for bytes that are none. */
export function feedItemAt(feed: RawFeed, index: number): FeedItem {
  const [start, end] = [feed.fieldStarts[index], feed.fieldStarts[index + 1]];
  const field = new FieldScanner(feed.buffer, 'a feed item', start, end, 'Internal');
  field.next();
  const texts = new FieldScanner(feed.buffer, 'a feed item', field.start, field.end, 'Internal');
  let uri = '';
  let repost = '';
  while (texts.next()) {
    if (texts.number === uriField) uri = feed.buffer.utf8Slice(texts.start, texts.end);
    else if (texts.number === repostField) repost = feed.buffer.utf8Slice(texts.start, texts.end);
  }
  return { sortMs: feedTimeMs(feed, index), itemUri: repost || uri, postUri: uri };
}

function readFeed(reader: ByteReader): RawFeed {
  const count = reader.count();
  const timesAt = reader.position;
  reader.skip(count * timeBytes);
  const fieldStarts = new Int32Array(count + 1);
  for (let index = 0; index < count; index++) {
    fieldStarts[index] = reader.position;
    if (reader.u8() !== itemTag) reader.fail('a feed item is no field');
    reader.skip(reader.varint());
  }
  fieldStarts[count] = reader.position;
  return { buffer: reader.buffer, count, timesAt, fieldStarts };
}

function writeRange(into: ByteWriter, { before, limit }: FeedRange): void {
  into.u8(messageVersion).varint(limit);
  if (before === null) into.u8(0);
  else {
    writeEntryTime(into.u8(1), before.sortMs);
    into.text(before.itemUri);
  }
}

function readRange(reader: ByteReader): FeedRange {
  const limit = reader.varint();
  const before = reader.u8() === 0 ? null : { sortMs: readEntryTime(reader), itemUri: reader.text() };
  return { before, limit };
}

/**
 * Writes all of a NewestByAuthorsRequest but its authors: `authorCount` length-delimited texts must
 * follow.
 */
export function beginNewestByAuthors(into: ByteWriter, range: FeedRange, authorCount: number): void {
  writeRange(into, range);
  into.varint(authorCount);
}

/**
 * A NewestByAuthorsRequest whose authors are still bytes: `count` length-delimited texts from
 * `reader.position` on.
 */
export type RawNewestByAuthors = FeedRange & { readonly count: number; readonly reader: ByteReader };

/**
 * Reads a NewestByAuthorsRequest up to its authors, whom a node looks up without making strings.
 */
export function openNewestByAuthors(bytes: Uint8Array): RawNewestByAuthors {
  const reader = openMessage(bytes, nodeCalls.newestByAuthors);
  return { ...readRange(reader), count: reader.count(), reader };
}

/** Opens the answer to a NewestByAuthorsRequest. */
export function openNewestByAuthorsAnswer(bytes: Uint8Array): RawFeed {
  const reader = openMessage(bytes, nodeCalls.newestByAuthors);
  const feed = readFeed(reader);
  reader.end();
  return feed;
}

/** Asks the viewer's node for its part of the viewer's timeline, and for whom to ask elsewhere. */
export type TimelineRequest = FeedRange & { readonly did: string };

/** Writes a TimelineRequest. */
export function encodeTimeline({ did, ...range }: TimelineRequest): Buffer {
  const into = new ByteWriter();
  writeRange(into, range);
  return into.text(did).finish();
}

/** Reads a TimelineRequest. */
export function decodeTimeline(bytes: Uint8Array): TimelineRequest {
  const reader = openMessage(bytes, nodeCalls.timeline);
  const request = { ...readRange(reader), did: reader.text() };
  reader.end();
  return request;
}

/** Followed DIDs of one slot: `count` length-delimited texts. */
export type SlotFollows = { readonly slot: number; readonly count: number; readonly texts: Buffer };

/**
 * The part of a timeline that the viewer's node knows.
 *
 * Shape: `own` holds up to `limit` items of the viewer, `followed` as many of the followed DIDs
 * that this node serves; `elsewhere` are the other followed DIDs, without the viewer. `followCount`
 * counts all on this page of follows; `next` is the page token for FollowsOfRequest, '' on the
 * last.
 */
export type TimelineAnswer<Feed> = {
  readonly own: Feed;
  readonly followed: Feed;
  readonly followCount: number;
  readonly next: string;
  readonly elsewhere: readonly SlotFollows[];
};

/** Writes the part of a TimelineAnswer after its two lists. */
export function writeTimelineFollows(
  into: ByteWriter,
  { followCount, next, elsewhere }: Omit<TimelineAnswer<unknown>, 'own' | 'followed'>,
): void {
  into.varint(followCount).text(next).varint(elsewhere.length);
  for (const { slot, count, texts } of elsewhere) into.varint(slot).varint(count).lengthDelimited(texts);
}

/** Reads a TimelineAnswer; its lists and DIDs alias the source. */
export function openTimelineAnswer(bytes: Uint8Array): TimelineAnswer<RawFeed> {
  const reader = openMessage(bytes, nodeCalls.timeline);
  const own = readFeed(reader);
  const followed = readFeed(reader);
  const followCount = reader.varint();
  const next = reader.text();
  const elsewhere = Array.from({ length: reader.count() }, () => ({
    slot: reader.varint(),
    count: reader.varint(),
    texts: reader.lengthDelimited(),
  }));
  reader.end();
  return { own, followed, followCount, next, elsewhere };
}
