/**
 * The newest feed items of many authors together: a node's part of a timeline.
 *
 * Order, all descending: sort time, then the author's URIs as text, then the author's keys. For
 * different authors this is the order of the items' URIs; for one author's items of a millisecond
 * it is the order of their keys, so that the next page continues exactly.
 */

import { collections, nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { timeAt } from '../../base/time-bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { feedKey } from '../../slot/table/feed-item.ts';
import { keyHeadBytes } from '../../slot/table/slot-state.ts';
import type { FeedPosition, FeedRange, RawNewestByAuthors } from '../../wire/feed-messages.ts';
import { type CachedAuthor, type FeedCache, itemsPerAuthor } from '../cache/feed-cache.ts';
import type { LocalDidList } from '../cache/follow-cache.ts';
import { type FeedRun, feedKeyCollectionAt, keyAt, readFeedRun, valueAt } from '../lookup/feed-run.ts';
import { pageItemsMax } from '../lookup/page.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { NewestItems } from './newest-items.ts';

/** Rows of the first and of the longest step down a feed beyond the cached items. */
const rowsPerStep = { first: 8, max: 256 } as const;
/**
 * Only an author of as many reposts in a row loses items by this: of posts that do not exist, or of
 * any where only posts are shown.
 */
const rowsPerAuthorMax = 2_000;
const keyTimeAt = keyHeadBytes;
const itemField = fieldNumber.TimelineFeedItem;
const postCode = collections.post.code;
const [postPath, repostPath] = [`${nsid.post}/`, `${nsid.repost}/`];

/** The last item of the previous page, parsed once for all authors. */
type PageEnd = FeedPosition & { readonly ref: RecordRef | undefined };

/** True when this other author's items of the end's millisecond come after the page's end. */
function isTieAfter({ uriHead }: CachedAuthor, before: PageEnd): boolean {
  return uriHead < before.itemUri;
}

/** Reads an author's items that come after a page's end. */
function runAfter(author: CachedAuthor, before: PageEnd): FeedRun {
  const { did, owner, state } = author;
  if (before.ref?.did === did) {
    const key = feedKey(owner, before.sortMs, before.ref.collection, before.ref.rkey);
    return readFeedRun(state, owner, key, key, rowsPerStep.first);
  }
  // A bare time is below every key of its millisecond.
  const timeMs = isTieAfter(author, before) ? before.sortMs + 1 : before.sortMs;
  const start = feedKey(owner, timeMs, nsid.profile, 'self').subarray(0, feedKeyCollectionAt);
  return readFeedRun(state, owner, start, null, rowsPerStep.first);
}

/** Returns the position, from `from` on, of the first item of a run after a page's end. */
function positionAfter(author: CachedAuthor, before: PageEnd, from: number): number {
  const { did, owner, run } = author;
  const { sortMs, bytes } = run;
  const { ref } = before;
  if (ref?.did !== did && isTieAfter(author, before)) return from;
  const end = ref?.did === did ? feedKey(owner, before.sortMs, ref.collection, ref.rkey) : null;
  let position = from;
  while (position < sortMs.length && sortMs[position] === before.sortMs) {
    if (end !== null && bytes.compare(end, 0, end.length, keyAt(run, position), valueAt(run, position)) < 0) break;
    position++;
  }
  return position;
}

function isPostAt(run: FeedRun, position: number): boolean {
  return run.bytes[keyAt(run, position) + feedKeyCollectionAt] === postCode;
}

/**
 * Adds an author's items until they are too old for the page, or `rowsPerAuthorMax` were read.
 * Returns how many rows it read.
 */
function addItems(newest: NewestItems, author: CachedAuthor, run: FeedRun, from: number): number {
  let current = run;
  let position = from;
  let stepRows: number = rowsPerStep.first;
  for (let rows = 0; ; rows += stepRows) {
    for (; position < current.sortMs.length; position++) {
      if (newest.onlyPosts && !isPostAt(current, position)) continue;
      if (!newest.add(author, current, position)) return rows;
    }
    if (current.next === null || rows >= rowsPerAuthorMax) return rows;
    if (timeAt(current.next, keyTimeAt) < newest.lastMs) return rows;
    stepRows = rows === 0 ? rowsPerStep.first : Math.min(stepRows * 4, rowsPerStep.max);
    current = readFeedRun(author.state, author.owner, current.next, current.next, stepRows);
    position = 0;
  }
}

/** Adds a cached author's items after the end of the previous page. Returns the rows it read. */
function addAuthor(newest: NewestItems, feeds: FeedCache, index: number, before: PageEnd | null): number {
  const { times } = feeds;
  const base = index * itemsPerAuthor;
  const count = feeds.counts[index]!;
  let position = 0;
  if (before !== null) while (position < count && times[base + position]! > before.sortMs) position++;
  // Most authors have nothing new enough, and are skipped after a read of their times only.
  if (position < count && times[base + position]! < newest.lastMs) return 0;
  const author = feeds.cache.valueAt(index)!;
  if (before !== null) position = positionAfter(author, before, position);
  const isBeyond = before !== null && position === count && author.run.next !== null;
  return isBeyond
    ? addItems(newest, author, runAfter(author, before), 0)
    : addItems(newest, author, author.run, position);
}

const limitMax = pageItemsMax + 1;
/** Reused once they are written; more than one only while reads yield. */
const idlePages: NewestItems[] = [];

function beginPage({ limit }: FeedRange, onlyPosts = false): NewestItems {
  const page = idlePages.pop() ?? new NewestItems(limitMax);
  return page.begin(Math.max(0, Math.min(limit, limitMax)), onlyPosts);
}

function pageEnd({ before }: FeedRange): PageEnd | null {
  return before === null ? null : { ...before, ref: parseRecordUri(before.itemUri) };
}

/** About what it takes to look an author up, and more to read its newest items. Units: µs. */
const authorMicros = { cached: 1, read: 30 } as const;

/** A page being filled from the authors of a request: the reader is at the next one. */
type AuthorScan = {
  readonly newest: NewestItems;
  readonly feeds: FeedCache;
  readonly reader: ByteReader;
  readonly before: PageEnd | null;
  left: number;
};

/** Adds authors until the turn is over. Returns true at the end. Hot: no generator. */
function addSome(scan: AuthorScan, turn: Turn): boolean {
  const { newest, feeds, reader, before } = scan;
  const { cache } = feeds;
  for (; scan.left > 0; ) {
    scan.left--;
    const did = reader.lengthDelimitedRange();
    const { misses } = cache;
    const index = feeds.indexOf(reader.buffer, did, reader.position);
    const rows = index >= 0 ? addAuthor(newest, feeds, index, before) : 0;
    if (turn.isOver(rows + (cache.misses === misses ? authorMicros.cached : authorMicros.read))) return false;
  }
  return true;
}

/** Returns the newest items of all authors of a request. Errors: DataPlaneError `WrongEpoch`. */
export function* newestByAuthors(
  feeds: FeedCache,
  { count, reader, ...range }: RawNewestByAuthors,
  turn: Turn,
  onlyPosts = false,
): SlicedRead<NewestItems> {
  const newest = beginPage(range, onlyPosts);
  const scan = { newest, feeds, reader, before: pageEnd(range), left: count };
  while (!addSome(scan, turn)) {
    reader.own();
    yield;
  }
  reader.end();
  return newest.finish();
}

/** Returns the newest items of one author. Errors: DataPlaneError `WrongEpoch`. */
export function newestByAuthor(feeds: FeedCache, did: string, range: FeedRange): NewestItems {
  const newest = beginPage(range);
  const author = Buffer.from(did);
  const index = feeds.indexOf(author, 0, author.length);
  if (index >= 0) addAuthor(newest, feeds, index, pageEnd(range));
  return newest.finish();
}

/** A page being filled from a list of authors, of which `at` is the next. */
type ListScan = Omit<AuthorScan, 'reader' | 'left'> & { readonly authors: LocalDidList; at: number };

/** Adds authors until the turn is over. Returns true at the end. Hot: no generator. */
function addSomeOfList(scan: ListScan, turn: Turn): boolean {
  const { newest, feeds, before, authors } = scan;
  const { cache, newestMs } = feeds;
  const { texts, starts, ends, indexes } = authors;
  let hits = 0;
  let isOver = false;
  for (; scan.at < indexes.length && !isOver; scan.at++) {
    const { at } = scan;
    if (authors.generation !== cache.generation) {
      indexes.fill(-1);
      authors.generation = cache.generation;
    }
    let index = indexes[at]!;
    // Most authors have nothing new enough, and are skipped after a read of one number.
    if (index >= 0 && newestMs[index]! < newest.lastMs) {
      hits++;
      continue;
    }
    let micros: number = authorMicros.cached;
    if (index >= 0 && cache.valueAt(index) !== undefined) hits++;
    else {
      index = feeds.indexOf(texts, starts[at]!, ends[at]!);
      if (authors.generation === cache.generation) indexes[at] = index;
      micros = authorMicros.read;
    }
    if (index >= 0) micros += addAuthor(newest, feeds, index, before);
    isOver = turn.isOver(micros);
  }
  cache.hits += hits;
  return !isOver;
}

/** Like `newestByAuthors` for a list that caches its authors' indexes across timelines. */
export function* newestByList(
  feeds: FeedCache,
  authors: LocalDidList,
  range: FeedRange,
  turn: Turn,
  onlyPosts = false,
): SlicedRead<NewestItems> {
  const newest = beginPage(range, onlyPosts);
  const scan = { newest, feeds, authors, before: pageEnd(range), at: 0 };
  while (!addSomeOfList(scan, turn)) yield;
  return newest.finish();
}

/** Writes a list of feed items as feed-messages.ts describes it, and frees it. */
export function writeFeedItems(into: MessageWriter, newest: NewestItems): void {
  into.varint(newest.size);
  newest.forEach((_author, run, position) => {
    const key = keyAt(run, position);
    into.raw(run.bytes, key + keyTimeAt, key + feedKeyCollectionAt);
  });
  newest.forEach(({ uriHead }, run, position) => {
    const { bytes } = run;
    const collectionAt = keyAt(run, position) + feedKeyCollectionAt;
    const isPost = bytes[collectionAt] === postCode;
    const item = into.begin(fieldNumber.GetTimelineResponse.items, isPost ? 1 : 2);
    if (!isPost) {
      const post = into.begin(itemField.uri, 1);
      appendRecordUri(into, bytes, valueAt(run, position) + 1);
      into.end(post, 1);
    }
    const own = into.begin(isPost ? itemField.uri : itemField.repost, 1);
    into.ascii(uriHead);
    into.ascii(isPost ? postPath : repostPath);
    appendRkey(into, bytes, collectionAt + 1);
    into.end(own, 1);
    into.end(item, isPost ? 1 : 2);
  });
  freePage(newest);
}

/** Frees a page once it is written. */
export function freePage(newest: NewestItems): void {
  idlePages.push(newest);
}
