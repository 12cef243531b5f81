/** Runs of one author's feed, read from its slot. */
import { ByteWriter } from '../../base/bytes.ts';
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import { feedFlag, feedPrefix } from '../../slot/table/feed-item.ts';
import { keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { walkFrom, walkRows } from './page.ts';

export const feedKeyCollectionAt = keyHeadBytes + timeBytes;

/** An author's feed items, newest first, without those of posts that do not exist. */
export type FeedRun = {
  /** Units: ms. */
  readonly sortMs: readonly number[];
  /** Key and value of each item in turn. A Buffer for each would take ten times the memory. */
  readonly bytes: Buffer;
  /** Where each key and each value begins in `bytes`, and last where `bytes` ends. */
  readonly offsets: readonly number[];
  /** The key after which the next run begins; null after the last. */
  readonly next: Buffer | null;
};

/** Returns where the key of an item begins in a run's bytes. */
export function keyAt({ offsets }: FeedRun, position: number): number {
  return offsets[2 * position]!;
}

/** Returns where the value of an item (flags, then a repost's post) begins in a run's bytes. */
export function valueAt({ offsets }: FeedRun, position: number): number {
  return offsets[2 * position + 1]!;
}

const runWriter = new ByteWriter(2048);

/** Reads up to `limit` rows, newest first, from `start` (null: the newest), leaving out `after`. */
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
