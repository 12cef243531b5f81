/** Runs of one author's feed, read from its slot. */
import { collections } from '../../atproto/collection.ts';
import { ByteWriter, isSameBytes } from '../../base/bytes.ts';
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import { feedFlag, feedPrefix } from '../../slot/table/feed-item.ts';
import { keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';

export const feedKeyCollectionAt = keyHeadBytes + timeBytes;
const postCode = collections.post.code;

/** An author's feed items, newest first, without those of posts that do not exist. */
export type FeedRun = {
  /** Units: ms. */
  readonly sortMs: readonly number[];
  /** Key and value of each item in turn. A Buffer for each would take ten times the memory. */
  readonly bytes: Buffer;
  /** Where each key and each value begins in `bytes`, and last where `bytes` ends. */
  readonly offsets: readonly number[];
  /** Rows that were read, also those without an item. */
  readonly rows: number;
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

/** True for a post, false for a repost. */
export function isPostAt(run: FeedRun, position: number): boolean {
  return run.bytes[keyAt(run, position) + feedKeyCollectionAt] === postCode;
}

/** Returns a time that no item after the run exceeds; -Infinity after the last run. Units: ms. */
export function nextMsMax({ next }: FeedRun): number {
  return next === null ? Number.NEGATIVE_INFINITY : timeAt(next, keyHeadBytes);
}

const runWriter = new ByteWriter(2048);

/** Reads up to `limit` rows, newest first, from `start` (null: the newest), leaving out `after`. */
export function readFeedRun(
  { rows }: SlotState,
  owner: number,
  start: Buffer | null,
  after: Buffer | null,
  limit: number,
): FeedRun {
  const prefix = feedPrefix(owner);
  const from = start ?? prefixEnd(prefix);
  // A row of the next table may have that very key.
  const leftOut = start === null ? from : after;
  const sortMs: number[] = [];
  const offsets: number[] = [];
  let next: Buffer | null = null;
  let scanned = 0;
  runWriter.clear();
  rows.visit({ start: from, end: prefix, isReverse: true, limit: limit + 1 }, ({ key, keyLength, value }) => {
    if (scanned === 0 && leftOut?.length === keyLength && isSameBytes(key, 0, leftOut, 0, keyLength)) return true;
    if (++scanned === limit) next = Buffer.from(key.subarray(0, keyLength));
    if ((value[0]! & feedFlag.postExists) !== 0) {
      sortMs.push(timeAt(key, keyHeadBytes));
      offsets.push(runWriter.length);
      runWriter.raw(key, 0, keyLength);
      offsets.push(runWriter.length);
      runWriter.raw(value, 0, value.length);
    }
    return scanned < limit;
  });
  offsets.push(runWriter.length);
  return { sortMs, bytes: runWriter.finish(), offsets, rows: scanned, next };
}

/** Returns a run followed by that after it. */
export function joinedRuns(first: FeedRun, second: FeedRun): FeedRun {
  const base = first.bytes.length;
  return {
    sortMs: first.sortMs.concat(second.sortMs),
    bytes: Buffer.concat([first.bytes, second.bytes]),
    offsets: first.offsets.slice(0, -1).concat(second.offsets.map((offset) => base + offset)),
    rows: first.rows + second.rows,
    next: second.next,
  };
}
