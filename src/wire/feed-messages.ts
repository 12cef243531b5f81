/**
 * The bytes of `slot.timeline` and `slot.newestByAuthors`: the newest items of many authors, which
 * a router merges by their times without decoding them.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readEntryTime, timeAt, timeBytes, writeEntryTime } from '../base/time-bytes.ts';
import { FieldScanner } from '../proto/fields.ts';
import { fieldNumber } from '../proto/generated/bsky-service.ts';
import { wireType } from '../proto/message-decoder.ts';
import type { FollowList } from './follows-messages.ts';
import { beginMessage, messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/**
 * A position in a feed of several authors, which is ordered by sortMs, then by itemUri, descending.
 *
 * Within one author and millisecond a node may use another fixed order, if it can continue from
 * every position: routers keep the order of each list and compare URIs only between lists.
 */
export type FeedPosition = { readonly sortMs: number; readonly itemUri: string };

/** `itemUri` is the URI of the post or of the repost; `postUri` that of the post shown. */
export type FeedItem = FeedPosition & { readonly postUri: string };

/** The first `limit` items after `before`, exclusive; null begins at the newest. */
export type FeedRange = { readonly before: FeedPosition | null; readonly limit: number };

/** Items are encoded as fields of a GetTimelineResponse, so that a router only copies them. */
const itemTag = fieldNumber.GetTimelineResponse.items * 8 + wireType.lengthDelimited;
const { uri: uriField, repost: repostField } = fieldNumber.TimelineFeedItem;

/** A list of items that aliases an answer. */
export type RawFeed = {
  readonly buffer: Buffer;
  readonly count: number;
  /** The position of the sort times, six bytes each, in the order of the items. */
  readonly timesAt: number;
  /** The position of each item's field, and the end of the last one. */
  readonly fieldStarts: Int32Array;
};

/** Returns the sort time of an item. Units: ms. */
export function feedTimeMs({ buffer, timesAt }: RawFeed, index: number): number {
  return timeAt(buffer, timesAt + index * timeBytes);
}

/** Decodes an item of a list. Errors: DataPlaneError `Internal` if it is malformed. */
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
  into.varint(limit);
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

/** Begins a NewestByAuthorsRequest; `authorCount` length-delimited texts must follow. */
export function beginNewestByAuthors(into: ByteWriter, range: FeedRange, authorCount: number): void {
  writeRange(into.u8(messageVersion), range);
  into.varint(authorCount);
}

/** The authors are `count` length-delimited texts at `reader.position`. */
export type RawNewestByAuthors = FeedRange & { readonly count: number; readonly reader: ByteReader };

/** Opens a NewestByAuthorsRequest, whose authors a node looks up without making strings. */
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

/** Asks the viewer's node for its part of the timeline, and for the authors on other nodes. */
export type TimelineRequest = FeedRange & { readonly did: string };

/** Writes a TimelineRequest. */
export function encodeTimeline({ did, ...range }: TimelineRequest): Buffer {
  const into = beginMessage();
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

export type SlotFollowList = FollowList & { readonly slot: number };

/**
 * The part of a timeline that the viewer's node holds.
 *
 * Shape: `own` has up to `limit` items of the viewer, `followed` up to `limit` of the followed DIDs
 * on this node; `elsewhere` are the other ones, without the viewer. `followCount` counts this page
 * of follows; `next` is the page token for FollowsOfRequest, '' on the last page.
 */
export type TimelineAnswer<Feed> = {
  readonly own: Feed;
  readonly followed: Feed;
  readonly followCount: number;
  readonly next: string;
  readonly elsewhere: readonly SlotFollowList[];
};

/** Writes the part of a TimelineAnswer that follows its two lists. */
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
