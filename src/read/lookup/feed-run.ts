/** Runs of one author's feed, read from its slot. */
import { ByteWriter } from '../../base/bytes.ts';
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import { feedFlag, feedPrefix } from '../../slot/table/feed-item.ts';
import { keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { walkFrom, walkRows } from './page.ts';

/** Where the collection begins in a feed item's key. */
export const feedKeyCollectionAt = keyHeadBytes + timeBytes;

/** A run of one author's feed items, newest first. Items of posts that do not exist are left out. */
export type FeedRun = {
  /** Units: ms. */
  readonly sortMs: readonly number[];
  /** Key and value of each item, one after the other: in one Buffer, which takes a tenth of many. */
  readonly bytes: Buffer;
  /** Where each item's key begins, where its value does, and at last where the bytes end. */
  readonly offsets: readonly number[];
  /** The key after which the next run begins, or null when there is nothing more. */
  readonly next: Buffer | null;
};

/** Returns where the key of an item begins in a run's bytes. */
export function keyAt({ offsets }: FeedRun, position: number): number {
  return offsets[2 * position]!;
}

/** Returns where the value of an item (flags, and for a repost its post) begins in a run's bytes. */
export function valueAt({ offsets }: FeedRun, position: number): number {
  return offsets[2 * position + 1]!;
}

const runWriter = new ByteWriter(2048);

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
  const offsets: number[] = [];
  runWriter.clear();
  let last: Buffer | null = null;
  let scanned = 0;
  for (const { key, value } of walkRows(state.rows, walk, limit)) {
    scanned++;
    last = key;
    if ((value[0]! & feedFlag.postExists) === 0) continue;
    sortMs.push(timeAt(key, newest.prefix.length));
    offsets.push(runWriter.length);
    runWriter.bytes(key);
    offsets.push(runWriter.length);
    runWriter.bytes(value);
  }
  offsets.push(runWriter.length);
  return { sortMs, bytes: runWriter.finish(), offsets, next: scanned < limit ? null : last };
}
