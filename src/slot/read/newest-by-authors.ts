/**
 * The newest feed items of many authors together: the node's part of a timeline.
 *
 * Order: sort time descending, then the author's URIs descending as text, then the author's own key order descending. For items of
 * different authors this is the order of their URIs; within one author and millisecond it is the order of the keys, from which a
 * page goes on exactly.
 */
import { collectionCodeByNsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, readRecordRef, readRkey, recordUri } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import type { FeedItem, FeedPlace } from '../../wire/read-messages.ts';
import { feedKey } from '../feed-item.ts';
import {
  type AuthorFeed,
  type FeedCache,
  type FeedRun,
  feedItemsCached,
  feedKeyCollectionAt,
  readFeedRun,
} from './feed-cache.ts';
import { pageItemsMax } from './page.ts';

/** Rows of one more step down an author's feed. */
const rowsPerStepMax = 200;
const postCode = collectionCodeByNsid['app.bsky.feed.post'];

/** A page's candidates: a heap whose top is the last of the newest items so far. */
class NewestItems {
  readonly #limit: number;
  readonly #sortMs: Float64Array;
  readonly #authors: AuthorFeed[];
  readonly #runs: FeedRun[];
  readonly #positions: Int32Array;
  /** Rises with each item that is put in, so that one author's items of one millisecond keep their order. */
  readonly #turns: Int32Array;
  #turn = 0;
  size = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#sortMs = new Float64Array(limit);
    this.#authors = new Array<AuthorFeed>(limit);
    this.#runs = new Array<FeedRun>(limit);
    this.#positions = new Int32Array(limit);
    this.#turns = new Int32Array(limit);
  }

  get isFull(): boolean {
    return this.size === this.#limit;
  }

  /** The sort time that an item must at least have to matter. Units: ms. */
  get lastMs(): number {
    return this.size === this.#limit ? this.#sortMs[0]! : Number.NEGATIVE_INFINITY;
  }

  /** True when the entry at `a` comes after the one at `b`. */
  #isAfter(a: number, b: number): boolean {
    const byTime = this.#sortMs[a]! - this.#sortMs[b]!;
    if (byTime !== 0) return byTime < 0;
    const authorA = this.#authors[a]!;
    const authorB = this.#authors[b]!;
    if (authorA !== authorB) return uriHead(authorA) < uriHead(authorB);
    return this.#turns[a]! > this.#turns[b]!;
  }

  /** Puts an item in; returns false when it comes after all of a full page. An author's items come newest first. */
  add(author: AuthorFeed, run: FeedRun, position: number): boolean {
    if (this.#limit === 0) return false;
    const sortMs = run.sortMs[position]!;
    if (this.size < this.#limit) {
      this.#set(this.size++, sortMs, author, run, position);
      this.#rise(this.size - 1);
      return true;
    }
    const isLater = sortMs < this.#sortMs[0]!;
    if (
      isLater ||
      (sortMs === this.#sortMs[0]! && (author === this.#authors[0]! || uriHead(author) < uriHead(this.#authors[0]!)))
    )
      return false;
    this.#set(0, sortMs, author, run, position);
    this.#sink(0);
    return true;
  }

  #set(at: number, sortMs: number, author: AuthorFeed, run: FeedRun, position: number): void {
    this.#sortMs[at] = sortMs;
    this.#authors[at] = author;
    this.#runs[at] = run;
    this.#positions[at] = position;
    this.#turns[at] = this.#turn++;
  }

  #swap(a: number, b: number): void {
    const [sortMs, author, run, position, turn] = [
      this.#sortMs[a]!,
      this.#authors[a]!,
      this.#runs[a]!,
      this.#positions[a]!,
      this.#turns[a]!,
    ];
    this.#sortMs[a] = this.#sortMs[b]!;
    this.#authors[a] = this.#authors[b]!;
    this.#runs[a] = this.#runs[b]!;
    this.#positions[a] = this.#positions[b]!;
    this.#turns[a] = this.#turns[b]!;
    this.#sortMs[b] = sortMs;
    this.#authors[b] = author;
    this.#runs[b] = run;
    this.#positions[b] = position;
    this.#turns[b] = turn;
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= this.size) return;
      const right = left + 1;
      const child = right < this.size && this.#isAfter(right, left) ? right : left;
      if (!this.#isAfter(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  /** Takes the items out, the first of the page first. */
  drain(): FeedItem[] {
    const items = new Array<FeedItem>(this.size);
    while (this.size > 0) {
      const last = --this.size;
      items[last] = itemOf(this.#authors[0]!, this.#runs[0]!, this.#positions[0]!);
      this.#swap(0, last);
      this.#sink(0);
    }
    return items;
  }
}

/** What all URIs of an author begin with: their order as text is the order of authors. */
function uriHead(author: AuthorFeed): string {
  return `${author.did}/`;
}

function itemOf({ did }: AuthorFeed, run: FeedRun, position: number): FeedItem {
  const key = run.keys[position]!;
  const isPost = key[feedKeyCollectionAt] === postCode;
  const collection = isPost ? 'app.bsky.feed.post' : 'app.bsky.feed.repost';
  const itemUri = `at://${did}/${collection}/${readRkey(new ByteReader(key, feedKeyCollectionAt + 1))}`;
  const postUri = isPost ? itemUri : recordUri(readRecordRef(new ByteReader(run.values[position]!, 1)));
  return { sortMs: run.sortMs[position]!, itemUri, postUri };
}

/** Where a page ended, taken apart once for all authors. */
type EndPlace = FeedPlace & { readonly ref: RecordRef | undefined };

/** Where an author's items go on after a place: from `start` down, without `after`. */
type AuthorStart = { readonly start: Buffer; readonly after: Buffer | null };

/** Returns the first key of an author that may come after `before`. */
function startAfter({ did, owner }: AuthorFeed, before: EndPlace): AuthorStart {
  if (before.ref?.did === did) {
    const key = feedKey(owner, before.sortMs, before.ref.collection, before.ref.rkey);
    return { start: key, after: key };
  }
  // A bare time stands below every key of its millisecond.
  return { start: feedTimeKey(owner, isTieAfter(did, before) ? before.sortMs + 1 : before.sortMs), after: null };
}

/** True when what another author has of the same millisecond comes after the place. */
function isTieAfter(did: string, before: EndPlace): boolean {
  return `at://${did}/` < before.itemUri;
}

function feedTimeKey(owner: number, sortMs: number): Buffer {
  return feedKey(owner, sortMs, 'app.bsky.actor.profile', 'self').subarray(0, feedKeyCollectionAt);
}

/** Puts an author's items in until they come too late. */
function addItems(newest: NewestItems, author: AuthorFeed, run: FeedRun, from: number, stepRows: number): void {
  let current = run;
  let position = from;
  for (;;) {
    for (; position < current.keys.length; position++) if (!newest.add(author, current, position)) return;
    if (current.next === null) return;
    const lastMs = current.sortMs.at(-1);
    if (newest.isFull && lastMs !== undefined && lastMs < newest.lastMs) return;
    current = readFeedRun(author.state, author.owner, current.next, current.next, stepRows);
    position = 0;
  }
}

/** Returns the first position of a run that comes after a place; its length when none of it does. */
function positionAfter({ did, owner, run }: AuthorFeed, before: EndPlace): number {
  const { sortMs, keys } = run;
  let position = 0;
  while (position < sortMs.length && sortMs[position]! > before.sortMs) position++;
  if (position === sortMs.length || sortMs[position]! < before.sortMs) return position;
  const { ref } = before;
  if (ref?.did !== did && isTieAfter(did, before)) return position;
  const end = ref?.did === did ? feedKey(owner, before.sortMs, ref.collection, ref.rkey) : null;
  while (position < sortMs.length && sortMs[position]! === before.sortMs) {
    if (end !== null && keys[position]!.compare(end) < 0) break;
    position++;
  }
  return position;
}

/** Returns the first `limit` items of all `authors` after `before`. Errors: DataPlaneError `WrongEpoch`. */
export function newestByAuthors(
  cache: FeedCache,
  authors: Iterable<string>,
  before: FeedPlace | null,
  limit: number,
): FeedItem[] {
  const newest = new NewestItems(Math.max(0, Math.min(limit, pageItemsMax + 1)));
  const stepRows = Math.min(rowsPerStepMax, Math.max(limit, feedItemsCached));
  const place = before === null ? null : { ...before, ref: parseRecordUri(before.itemUri) };
  for (const did of authors) {
    const author = cache.get(did);
    if (author === undefined) continue;
    const { run } = author;
    if (place === null) {
      if (run.keys.length > 0 && run.sortMs[0]! < newest.lastMs) continue;
      addItems(newest, author, run, 0, stepRows);
      continue;
    }
    const position = positionAfter(author, place);
    if (position < run.keys.length || run.next === null) {
      addItems(newest, author, run, position, stepRows);
    } else {
      // What is remembered is all newer than the place: read on from there.
      const { start, after } = startAfter(author, place);
      addItems(newest, author, readFeedRun(author.state, author.owner, start, after, stepRows), 0, stepRows);
    }
  }
  return newest.drain();
}
