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
import { timeBytes } from '../../base/time-bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { feedKey } from '../../slot/table/feed-item.ts';
import { keyHeadBytes } from '../../slot/table/slot-state.ts';
import type { FeedPosition, FeedRange, RawNewestByAuthors } from '../../wire/feed-messages.ts';
import { type CachedAuthor, type FeedCache, uriHeadBytes } from '../cache/feed-cache.ts';
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
const itemField = fieldNumber.TimelineFeedItem;
const postCode = collections.post.code;
const repostPath = Buffer.from(`${nsid.repost}/`);

/** The last item of the previous page, parsed once for all authors. */
type PageEnd = FeedPosition & { readonly ref: RecordRef | undefined };

/** True when this other author's items of the end's millisecond come after the page's end. */
function isTieAfter({ did }: CachedAuthor, before: PageEnd): boolean {
  return `at://${did}/` < before.itemUri;
}

/** Reads an author's items that come after a page's end. */
function runAfter(author: CachedAuthor, before: PageEnd, rows: number): FeedRun {
  const { did, owner, state } = author;
  if (before.ref?.did === did) {
    const key = feedKey(owner, before.sortMs, before.ref.collection, before.ref.rkey);
    return readFeedRun(state, owner, key, key, rows);
  }
  // A bare time is below every key of its millisecond.
  const timeMs = isTieAfter(author, before) ? before.sortMs + 1 : before.sortMs;
  const start = feedKey(owner, timeMs, nsid.profile, 'self').subarray(0, feedKeyCollectionAt);
  return readFeedRun(state, owner, start, null, rows);
}

/** Returns the first position of a run whose time is at most `timeMs`. */
function positionAt({ sortMs }: FeedRun, timeMs: number): number {
  let low = 0;
  let high = sortMs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sortMs[middle]! > timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns the position of the first item of a run after a page's end. */
function positionAfter(author: CachedAuthor, run: FeedRun, before: PageEnd): number {
  const { sortMs, bytes } = run;
  let position = positionAt(run, before.sortMs);
  if (sortMs[position] !== before.sortMs) return position;
  const { ref } = before;
  if (ref?.did !== author.did && isTieAfter(author, before)) return position;
  const end = ref?.did === author.did ? feedKey(author.owner, before.sortMs, ref.collection, ref.rkey) : null;
  while (position < sortMs.length && sortMs[position] === before.sortMs) {
    if (end !== null && bytes.compare(end, 0, end.length, keyAt(run, position), valueAt(run, position)) < 0) break;
    position++;
  }
  return position;
}

/** Offers a cached author's items after the end of the previous page. */
function offerAuthor(newest: NewestItems, feeds: FeedCache, index: number, before: PageEnd | null): void {
  const author = feeds.cache.valueAt(index)!;
  if (!newest.onlyPosts) {
    // Most authors are left out in the end, and are not looked at.
    const position = feeds.positionAt(index, newest.beforeMs);
    const timeMs = position < 0 ? newest.beforeMs : feeds.timeAt(index, position);
    if (timeMs < newest.beforeMs) {
      newest.offerItem(author, position, timeMs);
      return;
    }
  }
  newest.offerRun(author, before === null ? 0 : positionAfter(author, author.run, before));
}

/** Reads the feed on whose run has ended, that of a head. Returns how many rows it read. */
function readOn(newest: NewestItems, feeds: FeedCache, head: number, before: PageEnd | null): number {
  const author = newest.authorOf(head);
  const run = newest.runOf(head);
  const rowsSoFar = newest.rowsOf(head);
  if (run.next === null || rowsSoFar >= rowsPerAuthorMax) {
    newest.dropFirst();
    return 0;
  }
  const longer = newest.isCachedRun(head) ? feeds.longerRun(author, run) : null;
  if (longer !== null) {
    // What was on the page or on earlier ones comes first in the longer run too.
    const position = before === null ? 0 : positionAfter(author, longer, before);
    newest.moveFirst(longer, true, Math.max(position, newest.positionOf(head)));
    return longer.rows - run.rows;
  }
  const rows = Math.max(rowsPerStep.first, Math.min(rowsSoFar * 3, rowsPerStep.max));
  const isFarBefore = before !== null && run.sortMs.length > 0 && run.sortMs.at(-1)! > before.sortMs;
  const later = isFarBefore
    ? runAfter(author, before, rows)
    : readFeedRun(author.state, author.owner, run.next, run.next, rows);
  newest.moveFirst(later, false, before === null ? 0 : positionAfter(author, later, before));
  return later.rows;
}

const limitMax = pageItemsMax + 1;
/** Reused once they are written; more than one only while reads yield. */
const idlePages: NewestItems[] = [];

function beginPage({ limit, before }: FeedRange, onlyPosts = false): NewestItems {
  const page = idlePages.pop() ?? new NewestItems(limitMax);
  const beforeMs = before === null ? Number.POSITIVE_INFINITY : before.sortMs;
  return page.begin(Math.max(0, Math.min(limit, limitMax)), beforeMs, onlyPosts);
}

function pageEnd({ before }: FeedRange): PageEnd | null {
  return before === null ? null : { ...before, ref: parseRecordUri(before.itemUri) };
}

/** About what it takes to look an author up, and more to read its newest items. Units: µs. */
const authorMicros = { cached: 1, read: 30 } as const;

/** Merges until the turn is over. Returns true at the end. Hot: no generator. */
function mergeSome(newest: NewestItems, feeds: FeedCache, before: PageEnd | null, turn: Turn): boolean {
  for (let head = newest.merge(); head >= 0; head = newest.merge()) {
    const rows = readOn(newest, feeds, head, before);
    if (turn.isOver(authorMicros.cached + rows)) return false;
  }
  return true;
}

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
  while (scan.left > 0) {
    scan.left--;
    const did = reader.lengthDelimitedRange();
    const { misses } = cache;
    const index = feeds.indexOf(reader.buffer, did, reader.position);
    if (index >= 0 && feeds.newestMs[index]! >= newest.lastMs) offerAuthor(newest, feeds, index, before);
    if (turn.isOver(cache.misses === misses ? authorMicros.cached : authorMicros.read)) return false;
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
  while (!mergeSome(newest, feeds, scan.before, turn)) yield;
  return newest;
}

/** Returns the newest items of one author. Errors: DataPlaneError `WrongEpoch`. */
export function* newestByAuthor(feeds: FeedCache, did: string, range: FeedRange, turn: Turn): SlicedRead<NewestItems> {
  const newest = beginPage(range);
  const before = pageEnd(range);
  const author = Buffer.from(did);
  const index = feeds.indexOf(author, 0, author.length);
  if (index >= 0) offerAuthor(newest, feeds, index, before);
  while (!mergeSome(newest, feeds, before, turn)) yield;
  return newest;
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
    if (index >= 0) offerAuthor(newest, feeds, index, before);
    isOver = turn.isOver(micros);
  }
  cache.hits += hits;
  return !isOver;
}

/**
 * Like `newestByAuthors` for a list that caches its authors' indexes across timelines, and where
 * the latest first page ended: the next one ends there or later, unless items were deleted.
 */
export function* newestByList(
  feeds: FeedCache,
  authors: LocalDidList,
  range: FeedRange,
  turn: Turn,
  onlyPosts = false,
): SlicedRead<NewestItems> {
  const newest = beginPage(range, onlyPosts);
  const scan = { newest, feeds, authors, before: pageEnd(range), at: 0 };
  const isGuess = range.before === null && range.limit === authors.pageLimit;
  if (isGuess) newest.guessLast(authors.pageEndMs);
  while (!addSomeOfList(scan, turn)) yield;
  if (isGuess && !newest.isFull) {
    newest.guessLast(Number.NEGATIVE_INFINITY);
    scan.at = 0;
    while (!addSomeOfList(scan, turn)) yield;
  }
  if (range.before === null) {
    authors.pageLimit = range.limit;
    authors.pageEndMs = newest.lastMs;
  }
  while (!mergeSome(newest, feeds, scan.before, turn)) yield;
  return newest;
}

/** Writes the number and the sort times of a page's items, as feed-messages.ts describes them. */
export function writeItemTimes(into: MessageWriter, { size, runs, positions }: NewestItems): void {
  into.varint(size);
  into.reserve(size * timeBytes);
  for (let index = 0; index < size; index++) {
    const run = runs[index]!;
    const timeAt = keyAt(run, positions[index]!) + keyHeadBytes;
    for (let byte = 0; byte < timeBytes; byte++) into.buffer[into.length++] = run.bytes[timeAt + byte]!;
  }
}

/** Writes a list of feed items as feed-messages.ts describes it, and frees it. */
export function writeFeedItems(into: MessageWriter, newest: NewestItems): void {
  writeItemTimes(into, newest);
  const { size, authors, runs, positions } = newest;
  for (let index = 0; index < size; index++) writeFeedItem(into, authors[index]!, runs[index]!, positions[index]!);
  freePage(newest);
}

function writeFeedItem(into: MessageWriter, author: CachedAuthor, run: FeedRun, position: number): void {
  const { bytes } = run;
  const collectionAt = keyAt(run, position) + feedKeyCollectionAt;
  const isPost = bytes[collectionAt] === postCode;
  const lengthBytes = isPost ? 1 : 2;
  const item = into.begin(fieldNumber.GetTimelineResponse.items, lengthBytes);
  if (!isPost) {
    const post = into.begin(itemField.uri, 1);
    appendRecordUri(into, bytes, valueAt(run, position) + 1);
    into.end(post, 1);
  }
  const own = into.begin(isPost ? itemField.uri : itemField.repost, 1);
  if (isPost) into.bytes(author.postHead);
  else into.raw(author.postHead, 0, uriHeadBytes(author)).bytes(repostPath);
  appendRkey(into, bytes, collectionAt + 1);
  into.end(own, 1);
  into.end(item, lengthBytes);
}

/** Frees a page once it is written. */
export function freePage(newest: NewestItems): void {
  idlePages.push(newest);
}
