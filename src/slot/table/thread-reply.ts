/**
 * The index of the threads that an owner started, by the root that each reply claims. Written by effects only.
 *
 * (owner, threadReply, root rkey, reply DID, reply rkey) → flags, parent, sort time, deletion time.
 * (owner, threadChild, root rkey, parent DID, parent rkey, sort time, reply DID, reply rkey) → nothing.
 * Deleted replies stay as tombstones: the OP thread walks through them, and a tombstone keeps the result of late arrivals
 * independent of their order. Children may come before parents.
 */
import { type RecordRef, readDid, readRkey, recordUri, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import type { Effect } from '../../entry/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ApplyContext } from '../apply/apply-context.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** The one collection whose records make threads. */
export const postCollection = 'app.bsky.feed.post';

/** Posts are keyed by DID and rkey here; replies to other collections are no part of a thread. */
export type PostRef = { readonly did: string; readonly rkey: string };

/** One reply of a thread, or the tombstone that it left. */
export type ThreadReply = {
  readonly reply: PostRef;
  readonly parent: PostRef;
  readonly sortMs: number;
  /** Event time of the deletion, or null while the reply exists. */
  readonly deletedMs: number | null;
  readonly isTakenDown: boolean;
};

/** Parts above this make keys too long; such a reply is kept out of the thread index. Units: characters. */
const threadRkeyLengthMax = 256;
/** Ancestors that are told of a reply, the parent included. */
const noticeHeightMax = 4;
/** Replies below a late parent that are looked at again. */
const lateDescendantsMax = 1_000;

const flag = { deleted: 1, takenDown: 2 } as const;
const valueWriter = new ByteWriter(128);
const nothing = Buffer.alloc(0);

function writePost(writer: ByteWriter, post: PostRef): void {
  writeDid(writer, post.did);
  writeRkey(writer, post.rkey);
}

function readPost(reader: ByteReader): PostRef {
  return { did: readDid(reader), rkey: readRkey(reader) };
}

/** Returns the AT-URI of a post. */
export function postUri(post: PostRef): string {
  return recordUri({ did: post.did, collection: postCollection, rkey: post.rkey });
}

/** True when both name one post. */
export function isSamePost(a: PostRef, b: PostRef): boolean {
  return a.did === b.did && a.rkey === b.rkey;
}

/** Returns the prefix of all reply rows of one thread. */
export function threadPrefix(owner: number, rootRkey: string): Buffer {
  const key = beginKey(owner, tableCode.threadReply);
  writeRkey(key, rootRkey);
  return key.finish();
}

function replyKey(owner: number, rootRkey: string, reply: PostRef): Buffer {
  const key = beginKey(owner, tableCode.threadReply);
  writeRkey(key, rootRkey);
  writePost(key, reply);
  return key.finish();
}

function childKey(owner: number, rootRkey: string, row: ThreadReply): Buffer {
  const key = beginKey(owner, tableCode.threadChild);
  writeRkey(key, rootRkey);
  writePost(key, row.parent);
  writeEntryTime(key, row.sortMs);
  writePost(key, row.reply);
  return key.finish();
}

/** Returns the prefix of the children of one post of a thread, in time order. */
export function childPrefix(owner: number, rootRkey: string, parent: PostRef): Buffer {
  const key = beginKey(owner, tableCode.threadChild);
  writeRkey(key, rootRkey);
  writePost(key, parent);
  return key.finish();
}

/** Reads the reply and its sort time out of a child key whose prefix is `prefixLength` bytes. */
export function readChild(key: Buffer, prefixLength: number): { reply: PostRef; sortMs: number } {
  const reader = new ByteReader(key, prefixLength);
  const sortMs = readEntryTime(reader);
  return { sortMs, reply: readPost(reader) };
}

function decodeReply(reply: PostRef, value: Buffer): ThreadReply {
  const reader = new ByteReader(value);
  const flags = reader.u8();
  const parent = readPost(reader);
  const sortMs = readEntryTime(reader);
  const deletedMs = (flags & flag.deleted) === 0 ? null : readEntryTime(reader);
  return { reply, parent, sortMs, deletedMs, isTakenDown: (flags & flag.takenDown) !== 0 };
}

/** Reads one row of a thread scan. */
export function readThreadReply(key: Buffer, value: Buffer): ThreadReply {
  const reader = readKey(key);
  readRkey(reader);
  return decodeReply(readPost(reader), value);
}

/** Returns one reply of a thread, tombstones included, or undefined when none came yet. */
export function getThreadReply(
  state: SlotState,
  owner: number,
  rootRkey: string,
  reply: PostRef,
): ThreadReply | undefined {
  const value = state.rows.get(replyKey(owner, rootRkey, reply));
  return value === undefined ? undefined : decodeReply(reply, value);
}

function putThreadReply(state: SlotState, owner: number, rootRkey: string, row: ThreadReply): void {
  valueWriter.u8((row.deletedMs === null ? 0 : flag.deleted) | (row.isTakenDown ? flag.takenDown : 0));
  writePost(valueWriter, row.parent);
  writeEntryTime(valueWriter, row.sortMs);
  if (row.deletedMs !== null) writeEntryTime(valueWriter, row.deletedMs);
  state.rows.put(replyKey(owner, rootRkey, row.reply), valueWriter.finish());
  state.rows.put(childKey(owner, rootRkey, row), nothing);
}

/** True when a reply can be part of a thread index: all three are posts with keys of bounded length. */
function isThreadable(...posts: readonly RecordRef[]): boolean {
  return posts.every((post) => post.collection === postCollection && post.rkey.length <= threadRkeyLengthMax);
}

/** Puts, withdraws or marks one reply, and tells those above it. */
export function applyThreadEffect(context: ApplyContext, effect: Effect & { readonly type: 'thread' }): void {
  if (!isThreadable(effect.root, effect.parent, effect.reply)) return;
  const { state } = context;
  const owner = state.ensureOwner(effect.root.did);
  const before = getThreadReply(state, owner, effect.root.rkey, effect.reply);
  const row: ThreadReply = {
    reply: effect.reply,
    parent: effect.parent,
    sortMs: effect.sortMs,
    deletedMs: effect.present ? null : effect.timeMs,
    isTakenDown: effect.isTakenDown,
  };
  if (before === undefined && !effect.present) return;
  const isMoved = before !== undefined && !isSamePost(before.parent, row.parent);
  // Those below told the ancestors on the old way up; they take that back before the way changes.
  if (isMoved) noticeDescendants(context, owner, effect.root, row.reply, false);
  if (before !== undefined) state.rows.remove(childKey(owner, effect.root.rkey, before));
  putThreadReply(state, owner, effect.root.rkey, row);
  sendReplyNotices(context, owner, effect.root, row, effect.present);
  if (before === undefined || isMoved) noticeDescendants(context, owner, effect.root, row.reply, true);
}

/**
 * Tells the authors of up to four ancestors of a reply, nearest first, each once; a withdrawn reply's notices are withdrawn
 * by the same walk, since rows never leave the index.
 */
function sendReplyNotices(
  context: ApplyContext,
  owner: number,
  root: RecordRef,
  row: ThreadReply,
  present: boolean,
): void {
  const told = new Set([row.reply.did]);
  const source = { did: row.reply.did, collection: postCollection, rkey: row.reply.rkey };
  let ancestor = row.parent;
  for (let height = 1; height <= noticeHeightMax; height++) {
    const isRoot = isSamePost(ancestor, root);
    const above = isRoot ? undefined : getThreadReply(context.state, owner, root.rkey, ancestor);
    if (!isRoot && above === undefined) return;
    if (!told.has(ancestor.did)) {
      told.add(ancestor.did);
      context.send({
        type: 'notice',
        present,
        recipient: ancestor.did,
        source,
        reason: 'reply',
        reasonSubject: postUri(ancestor),
        sortMs: row.sortMs,
        isTakenDown: row.isTakenDown,
      });
    }
    if (isRoot || above === undefined) return;
    ancestor = above.parent;
  }
}

/** A parent that comes after its children, or hangs elsewhere now, changes their way up: what they tell is worked out anew. */
function noticeDescendants(
  context: ApplyContext,
  owner: number,
  root: RecordRef,
  parent: PostRef,
  present: boolean,
): void {
  let level: PostRef[] = [parent];
  let left = lateDescendantsMax;
  for (let depth = 1; depth <= noticeHeightMax && level.length > 0; depth++) {
    const below: PostRef[] = [];
    for (const post of level) {
      const prefix = childPrefix(owner, root.rkey, post);
      for (const key of context.state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: left })) {
        below.push(readChild(key, prefix.length).reply);
        left--;
      }
      if (left <= 0) break;
    }
    for (const post of below) {
      const row = getThreadReply(context.state, owner, root.rkey, post);
      if (row !== undefined && row.deletedMs === null) sendReplyNotices(context, owner, root, row, present);
    }
    level = below;
  }
}
