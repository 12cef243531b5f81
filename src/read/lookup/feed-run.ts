/** Runs of one author's feed, read from its slot. */
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import { feedFlag, feedPrefix } from '../../slot/table/feed-item.ts';
import { keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { walkFrom, walkRows } from './page.ts';

/** Where the collection stands in a feed item's key. */
export const feedKeyCollectionAt = keyHeadBytes + timeBytes;

/** A run of one author's feed items, newest first. Items of posts that do not exist are left out. */
export type FeedRun = {
  /** Units: ms. */
  readonly sortMs: readonly number[];
  /** Keys of the items. */
  readonly keys: readonly Buffer[];
  /** Flags, and for a repost its post. */
  readonly values: readonly Buffer[];
  /** The key after which the next run begins, or null when there is nothing more. */
  readonly next: Buffer | null;
};

/** Reads up to `limit` rows of an author's feed downwards: from the newest, or from `start` (a key, inclusive) without `after`. */
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
    sortMs.push(timeAt(key, newest.prefix.length));
    keys.push(key);
    values.push(value);
  }
  return { sortMs, keys, values, next: scanned < limit ? null : last };
}
