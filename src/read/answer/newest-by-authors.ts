/**
 * The newest feed items of many authors together: the node's part of a timeline.
 *
 * Order: sort time descending, then the author's URIs descending as text, then the author's own key order descending. For items of
 * different authors this is the order of their URIs; within one author and millisecond it is the order of the keys, from which a
 * page goes on exactly.
 */

import { collections, nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { timeAt } from '../../base/time-bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { feedKey } from '../../slot/table/feed-item.ts';
import { keyHeadBytes } from '../../slot/table/slot-state.ts';
import type { FeedPosition, FeedRange, RawNewestByAuthors } from '../../wire/feed-messages.ts';
import { itemsPerAuthor, type KnownAuthor } from '../cache/author-table.ts';
import type { FeedCache } from '../cache/feed-cache.ts';
import type { LocalFollows } from '../cache/timeline-follows.ts';
import { type FeedRun, feedKeyCollectionAt, readFeedRun } from '../lookup/feed-run.ts';
import { pageItemsMax } from '../lookup/page.ts';
import { NewestItems } from './newest-items.ts';

/** Rows of the first step down an author's feed beyond what is remembered, and of the longest. */
const rowsPerStep = { first: 8, max: 256 } as const;
const keyTimeAt = keyHeadBytes;
const itemField = fieldNumber.TimelineFeedItem;
const postCode = collections.post.code;
const [postPath, repostPath] = [`${nsid.post}/`, `${nsid.repost}/`];

/** Where a page ended, taken apart once for all authors. */
type EndPlace = FeedPosition & { readonly ref: RecordRef | undefined };

/** True when what another author has of the same millisecond comes after the place. */
function isTieAfter({ uriHead }: KnownAuthor, before: EndPlace): boolean {
  return uriHead < before.itemUri;
}

/** Reads an author's items that come after a place. */
function runAfter(author: KnownAuthor, before: EndPlace): FeedRun {
  const { did, owner, state } = author;
  if (before.ref?.did === did) {
    const key = feedKey(owner, before.sortMs, before.ref.collection, before.ref.rkey);
    return readFeedRun(state, owner, key, key, rowsPerStep.first);
  }
  // A bare time stands below every key of its millisecond.
  const timeMs = isTieAfter(author, before) ? before.sortMs + 1 : before.sortMs;
  const start = feedKey(owner, timeMs, nsid.profile, 'self').subarray(0, feedKeyCollectionAt);
  return readFeedRun(state, owner, start, null, rowsPerStep.first);
}

/** Returns the first position of a run, from one that is not newer than the place, that comes after it. */
function positionAfter(author: KnownAuthor, before: EndPlace, from: number): number {
  const { did, owner, run } = author;
  const { sortMs, keys } = run;
  const { ref } = before;
  if (ref?.did !== did && isTieAfter(author, before)) return from;
  const end = ref?.did === did ? feedKey(owner, before.sortMs, ref.collection, ref.rkey) : null;
  let position = from;
  while (position < sortMs.length && sortMs[position] === before.sortMs) {
    if (end !== null && keys[position]!.compare(end) < 0) break;
    position++;
  }
  return position;
}

/** Puts an author's items in until they come too late. */
function addItems(newest: NewestItems, author: KnownAuthor, run: FeedRun, from: number): void {
  let current = run;
  let position = from;
  let stepRows: number = rowsPerStep.first;
  for (;;) {
    for (; position < current.keys.length; position++) if (!newest.add(author, current, position)) return;
    if (current.next === null) return;
    if (timeAt(current.next, keyTimeAt) < newest.lastMs) return;
    current = readFeedRun(author.state, author.owner, current.next, current.next, stepRows);
    stepRows = Math.min(stepRows * 4, rowsPerStep.max);
    position = 0;
  }
}

/** Adds what one remembered author has after a place. */
function addAuthor(newest: NewestItems, cache: FeedCache, place: number, before: EndPlace | null): void {
  const { table } = cache;
  const base = place * itemsPerAuthor;
  const count = table.counts[place]!;
  const { times } = table;
  let position = 0;
  if (before !== null) while (position < count && times[base + position]! > before.sortMs) position++;
  // Most authors have nothing new enough, and are passed over without a look at more than their times.
  if (position < count && times[base + position]! < newest.lastMs) return;
  const author = table.places.valueAt(place)!;
  if (before !== null) position = positionAfter(author, before, position);
  const isBeyond = before !== null && position === count && author.run.next !== null;
  if (isBeyond) addItems(newest, author, runAfter(author, before), 0);
  else addItems(newest, author, author.run, position);
}

const limitMax = pageItemsMax + 1;
/** One page at a time: reads are synchronous, and a page is written before the next one begins. */
const page = new NewestItems(limitMax);

function beginPage({ limit }: FeedRange): NewestItems {
  return page.begin(Math.max(0, Math.min(limit, limitMax)));
}

function endPlace({ before }: FeedRange): EndPlace | null {
  return before === null ? null : { ...before, ref: parseRecordUri(before.itemUri) };
}

/** Returns the newest items of all authors of a request. Errors: DataPlaneError `WrongEpoch`. */
export function newestByAuthors(cache: FeedCache, { count, reader, ...range }: RawNewestByAuthors): NewestItems {
  const newest = beginPage(range);
  const before = endPlace(range);
  for (let index = 0; index < count; index++) {
    const did = reader.lengthDelimitedRange();
    const place = cache.placeOf(reader.buffer, did, reader.position);
    if (place >= 0) addAuthor(newest, cache, place, before);
  }
  reader.end();
  return newest.finish();
}

/** Returns the newest items of one author. Errors: DataPlaneError `WrongEpoch`. */
export function newestByAuthor(cache: FeedCache, did: string, range: FeedRange): NewestItems {
  const newest = beginPage(range);
  const author = Buffer.from(did);
  const place = cache.placeOf(author, 0, author.length);
  if (place >= 0) addAuthor(newest, cache, place, endPlace(range));
  return newest.finish();
}

/** Returns the newest items of the followed authors of this node, whose places in the cache are looked up once for many timelines. */
export function newestByFollows(cache: FeedCache, follows: LocalFollows, range: FeedRange): NewestItems {
  const newest = beginPage(range);
  const before = endPlace(range);
  const { texts, starts, ends, places } = follows;
  for (let index = 0; index < places.length; index++) {
    if (follows.generation !== cache.generation) {
      places.fill(-1);
      follows.generation = cache.generation;
    }
    const { table } = cache;
    let place = places[index]!;
    // Most authors have nothing new enough, and are passed over with a look at one number.
    if (place >= 0 && table.newestMs[place]! < newest.lastMs) continue;
    if (place < 0 || table.places.valueAt(place) === undefined) {
      place = cache.placeOf(texts, starts[index]!, ends[index]!);
      if (follows.generation === cache.generation) places[index] = place;
    }
    if (place >= 0) addAuthor(newest, cache, place, before);
  }
  return newest.finish();
}

/** Writes a list of feed items, as `feed-messages.ts` describes it. */
export function writeFeedItems(into: MessageWriter, newest: NewestItems): void {
  into.varint(newest.size);
  newest.forEach((_author, run, position) => {
    into.raw(run.keys[position]!, keyTimeAt, feedKeyCollectionAt);
  });
  newest.forEach(({ uriHead }, run, position) => {
    const key = run.keys[position]!;
    const isPost = key[feedKeyCollectionAt] === postCode;
    const item = into.begin(fieldNumber.GetTimelineResponse.items, isPost ? 1 : 2);
    if (!isPost) {
      const post = into.begin(itemField.uri, 1);
      appendRecordUri(into, run.values[position]!, 1);
      into.end(post, 1);
    }
    const own = into.begin(isPost ? itemField.uri : itemField.repost, 1);
    into.ascii(uriHead);
    into.ascii(isPost ? postPath : repostPath);
    appendRkey(into, key, feedKeyCollectionAt + 1);
    into.end(own, 1);
    into.end(item, isPost ? 1 : 2);
  });
}
