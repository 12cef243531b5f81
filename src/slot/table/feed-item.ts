/**
 * An owner's author feed: (owner, feed, sort time, collection, rkey) → flags and, for a repost, its
 * post.
 *
 * A repost's item is shown only while its post exists, as effects of the post's slot report.
 */
import {
  type RecordRef,
  readCollection,
  readRecordRef,
  readRkey,
  writeCollection,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Bits of an item's flags; part of the stored format. */
export const feedFlag = { reply: 1, ownThread: 2, media: 4, video: 8, postExists: 16 } as const;

/** `post` is null for the owner's own post. */
export type FeedRow = {
  readonly sortMs: number;
  readonly collection: string;
  readonly rkey: string;
  readonly flags: number;
  readonly post: RecordRef | null;
};

const valueWriter = sharedWriter(128);

/** Returns the prefix of all of an owner's feed items, which ascend by sort time. */
export function feedPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.feed).finish();
}

/** Returns the key of one feed item; collection and rkey order items of the same time. */
export function feedKey(owner: number, sortMs: number, collection: string, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.feed);
  writeEntryTime(key, sortMs);
  writeCollection(key, collection);
  writeRkey(key, rkey);
  return key.finish();
}

/** Writes a feed item, and notes that the owner's cached feed is stale. */
export function putFeedRow(state: SlotState, owner: number, item: FeedRow): void {
  valueWriter.u8(item.flags);
  if (item.post !== null) writeRecordRef(valueWriter, item.post);
  state.rows.put(feedKey(owner, item.sortMs, item.collection, item.rkey), valueWriter.finish());
  state.touchedOwners.add(owner);
}

/** Removes a feed item, and notes that the owner's cached feed is stale. */
export function removeFeedRow(state: SlotState, owner: number, sortMs: number, collection: string, rkey: string): void {
  state.rows.remove(feedKey(owner, sortMs, collection, rkey));
  state.touchedOwners.add(owner);
}

/** Reads one row of a feed scan. */
export function readFeedRow(key: Buffer, value: Buffer): FeedRow {
  const reader = readKey(key);
  const sortMs = readEntryTime(reader);
  const collection = readCollection(reader);
  const rkey = readRkey(reader);
  const fields = new ByteReader(value);
  const flags = fields.u8();
  return { sortMs, collection, rkey, flags, post: fields.remaining === 0 ? null : readRecordRef(fields) };
}
