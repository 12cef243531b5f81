/**
 * The newest feed items of many authors together: the node's part of a timeline.
 *
 * Order: sort time descending, then the author's URIs descending as text, then the author's own key order descending. For items of
 * different authors this is the order of their URIs; within one author and millisecond it is the order of the keys, from which a
 * page goes on exactly.
 */
import { collectionCodeByNsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { type FeedPlace, messageVersion, type RawNewestByAuthors } from '../../wire/read-messages.ts';
import { feedKey } from '../feed-item.ts';
import { keyHeadBytes } from '../slot-state.ts';
import type { AnswerWriter } from './answer-writer.ts';
import { itemsPerAuthor, type KnownAuthor } from './author-table.ts';
import type { FeedCache } from './feed-cache.ts';
import { type FeedRun, feedKeyCollectionAt, readFeedRun } from './feed-run.ts';
import { appendRecordUri, appendRkey } from './key-text.ts';
import { NewestItems } from './newest-items.ts';
import { pageItemsMax } from './page.ts';

/** Rows of the first step down an author's feed beyond what is remembered, and of the longest. */
const rowsPerStep = { first: 8, max: 256 } as const;
const keyTimeAt = keyHeadBytes;
const postCode = collectionCodeByNsid['app.bsky.feed.post'];

/** Where a page ended, taken apart once for all authors. */
type EndPlace = FeedPlace & { readonly ref: RecordRef | undefined };

/** True when what another author has of the same millisecond comes after the place. */
function isTieAfter(did: string, before: EndPlace): boolean {
  return `at://${did}/` < before.itemUri;
}

/** Reads an author's items that come after a place. */
function runAfter({ did, owner, state }: KnownAuthor, before: EndPlace): FeedRun {
  if (before.ref?.did === did) {
    const key = feedKey(owner, before.sortMs, before.ref.collection, before.ref.rkey);
    return readFeedRun(state, owner, key, key, rowsPerStep.first);
  }
  // A bare time stands below every key of its millisecond.
  const timeMs = isTieAfter(did, before) ? before.sortMs + 1 : before.sortMs;
  const start = feedKey(owner, timeMs, 'app.bsky.actor.profile', 'self').subarray(0, feedKeyCollectionAt);
  return readFeedRun(state, owner, start, null, rowsPerStep.first);
}

/** Returns the first position of a run, from one that is not newer than the place, that comes after it. */
function positionAfter({ did, owner, run }: KnownAuthor, before: EndPlace, from: number): number {
  const { sortMs, keys } = run;
  const { ref } = before;
  if (ref?.did !== did && isTieAfter(did, before)) return from;
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
    const lastMs = current.sortMs.at(-1);
    if (lastMs !== undefined && lastMs < newest.lastMs) return;
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

/** Returns the first `limit` items of all authors of a request after its place. Errors: DataPlaneError `WrongEpoch`. */
export function newestByAuthors(cache: FeedCache, { before, limit, count, reader }: RawNewestByAuthors): NewestItems {
  const newest = new NewestItems(Math.max(0, Math.min(limit, pageItemsMax + 1)));
  const end = before === null ? null : { ...before, ref: parseRecordUri(before.itemUri) };
  for (let index = 0; index < count; index++) {
    const did = reader.sizedRange();
    const place = cache.placeOf(reader.buffer, did, reader.position);
    if (place >= 0) addAuthor(newest, cache, place, end);
  }
  reader.end();
  return newest;
}

/** Writes a NewestByAuthorsAnswer, as `decodeNewestByAuthorsAnswer` reads it. */
export function writeNewestByAuthors(into: AnswerWriter, newest: NewestItems): void {
  into.varint(messageVersion);
  into.varint(newest.size);
  newest.forEach((author, run, position) => {
    const key = run.keys[position]!;
    into.raw(key, keyTimeAt, feedKeyCollectionAt);
    const isPost = key[feedKeyCollectionAt] === postCode;
    const item = into.beginSized();
    into.ascii('at://');
    into.ascii(author.did);
    into.ascii(isPost ? '/app.bsky.feed.post/' : '/app.bsky.feed.repost/');
    appendRkey(into, key, feedKeyCollectionAt + 1);
    into.end(item, 1);
    const post = into.beginSized();
    if (!isPost) appendRecordUri(into, run.values[position]!, 1);
    into.end(post, 1);
  });
}
