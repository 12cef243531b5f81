/**
 * What serving threads remember of authors' newest feed items, for timelines.
 *
 * A timeline asks hundreds of authors for items newer than most of them have; a look at an array answers that where a range scan costs
 * a hundred times as much. Owns: bounds, and forgetting what a commit touched. Filled from the newest commit only: whoever calls
 * `invalidateFeeds` has refreshed this thread's reads first, so that what is read afterwards is not older than what was forgotten.
 */
import { feedFlag, feedPrefix } from '../feed-item.ts';
import type { SlotState } from '../slot-state.ts';
import { keyTimeMs, walkFrom, walkRows } from './page.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

/** Newest items kept for each author. */
export const feedItemsCached = 24;
/** Authors remembered by default. One takes about a kilobyte. */
export const authorsCachedDefault = 60_000;
const timeBytes = 6;

/** A run of one author's feed items, newest first. Items of posts that do not exist are left out. */
export type FeedRun = {
  readonly sortMs: Float64Array;
  /** Keys of the items. */
  readonly keys: readonly Buffer[];
  /** Flags, and for a repost its post. */
  readonly values: readonly Buffer[];
  /** The key after which the next run begins, or null when there is nothing more. */
  readonly next: Buffer | null;
};

/** One author's newest items. */
export type AuthorFeed = {
  readonly did: string;
  readonly state: SlotState;
  readonly owner: number;
  readonly run: FeedRun;
};

const nothing: FeedRun = { sortMs: new Float64Array(0), keys: [], values: [], next: null };

/** Reads up to `limit` rows of an author's feed from `start` (a key, inclusive) downwards, without `after`. */
export function readFeedRun(
  state: SlotState,
  owner: number,
  start: Buffer | null,
  after: Buffer | null,
  limit: number,
): FeedRun {
  const newest = walkFrom(feedPrefix(owner), '', '');
  const walk = start === null ? newest : { prefix: newest.prefix, start, after };
  const sortMs: number[] = [];
  const keys: Buffer[] = [];
  const values: Buffer[] = [];
  let last: Buffer | null = null;
  let scanned = 0;
  for (const { key, value } of walkRows(state.rows, walk, limit)) {
    scanned++;
    last = key;
    if ((value[0]! & feedFlag.postExists) === 0) continue;
    sortMs.push(keyTimeMs(key, newest.prefix.length));
    keys.push(key);
    values.push(value);
  }
  if (scanned === 0) return nothing;
  return { sortMs: Float64Array.from(sortMs), keys, values, next: scanned < limit ? null : last };
}

/** Where the collection stands in a feed item's key. */
export const feedKeyCollectionAt = 5 + timeBytes;

function cacheKey(slot: number, owner: number): number {
  return slot * 2 ** 32 + owner;
}

/** Remembers authors; two generations, of which the older goes when the younger is full. */
export class FeedCache {
  readonly #lookup: SlotLookup;
  readonly #youngMax: number;
  #young = new Map<string, AuthorFeed>();
  #old = new Map<string, AuthorFeed>();
  /** DIDs by slot and owner, for what commits tell. */
  #didByOwner = new Map<number, string>();

  constructor(lookup: SlotLookup, authorsMax = authorsCachedDefault) {
    this.#lookup = lookup;
    this.#youngMax = Math.max(1, Math.floor(authorsMax / 2));
  }

  /** Returns an author's newest items; undefined for one that its slot does not know. Errors: DataPlaneError `WrongEpoch`. */
  get(did: string): AuthorFeed | undefined {
    const young = this.#young.get(did);
    if (young !== undefined) return young;
    const feed = this.#old.get(did) ?? this.#read(did);
    if (feed !== undefined) this.#keep(feed);
    return feed;
  }

  /** True when an author is remembered. */
  has(did: string): boolean {
    return this.#young.has(did) || this.#old.has(did);
  }

  #read(did: string): AuthorFeed | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    return { did, state, owner, run: readFeedRun(state, owner, null, null, feedItemsCached) };
  }

  #keep(feed: AuthorFeed): void {
    if (this.#young.size >= this.#youngMax) this.#turnGenerations();
    this.#young.set(feed.did, feed);
    this.#didByOwner.set(cacheKey(feed.state.index, feed.owner), feed.did);
  }

  #turnGenerations(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#didByOwner = new Map();
    for (const { did, state, owner } of this.#old.values()) this.#didByOwner.set(cacheKey(state.index, owner), did);
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      const did = this.#didByOwner.get(cacheKey(slot, owner));
      if (did === undefined) continue;
      this.#young.delete(did);
      this.#old.delete(did);
    }
  }

  /** Authors that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
