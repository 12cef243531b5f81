/**
 * The index of the threads that an owner started, by the root that each reply claims. Written by
 * effects only.
 *
 * (owner, threadReply, root rkey, reply DID, reply rkey) → flags, parent, sort time, deletion time
 * or index time and version, and whom this slot has notified of the reply, the parent's author by a
 * flag.
 * (owner, threadChild, root rkey, parent DID, parent rkey, sort time, reply DID, reply rkey) →
 * nothing. Deleted replies stay as tombstones: the OP thread walks through them, and they keep the
 * result of late arrivals independent of order. Children may come before parents.
 */
import { nsid } from '../../atproto/collection.ts';
import {
  isPlcAndTid,
  plcAndTidBytes,
  type RecordRef,
  readDid,
  readRkey,
  recordUri,
  skipDid,
  skipRkey,
  writeDid,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, storedTime, writeEntryTime } from '../../base/time-bytes.ts';
import { beginKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Posts are keyed by DID and rkey here; replies to other collections are not part of a thread. */
export type PostRef = { readonly did: string; readonly rkey: string };

/** One reply of a thread, or its tombstone. */
export type ThreadReply = {
  readonly reply: PostRef;
  readonly parent: PostRef;
  readonly sortMs: number;
  /** Event time of the deletion, or null while the reply exists. */
  readonly deletedMs: number | null;
  readonly isTakenDown: boolean;
  readonly judgement: Judgement;
};

/** What the thread's gate makes of a reply; of no meaning for a tombstone. */
export type Judgement = {
  /** When the judged version was indexed, and which one it is. */
  readonly indexedMs: number;
  readonly version: number;
  readonly isFollower: boolean;
  /** Whether its author is on a list of the gate or a follower; null until that is answered. */
  readonly isAllowed: boolean | null;
  /** `pending` while that matters and is not answered. */
  readonly verdict: 'clear' | 'violating' | 'pending';
};

const noJudgement: Judgement = { indexedMs: 0, version: 0, isFollower: false, isAllowed: null, verdict: 'clear' };

const flag = {
  deleted: 1,
  takenDown: 2,
  parentNotified: 4,
  violating: 8,
  pending: 16,
  follower: 32,
  answered: 64,
  allowed: 128,
} as const;
const valueWriter = sharedWriter(128);

/** Writes a post of a thread in a key or a value. */
export function writePost(writer: ByteWriter, post: PostRef): void {
  writeDid(writer, post.did);
  writeRkey(writer, post.rkey);
}

/** Reads what `writePost` wrote. */
export function readPost(reader: ByteReader): PostRef {
  return { did: readDid(reader), rkey: readRkey(reader) };
}

/** Returns the record of a post. */
export function postRecord({ did, rkey }: PostRef): RecordRef {
  return { did, collection: nsid.post, rkey };
}

/** Returns the AT-URI of a post. */
export function postUri(post: PostRef): string {
  return recordUri(postRecord(post));
}

/** True when both name one post. */
export function isSamePost(a: PostRef, b: PostRef): boolean {
  return a.did === b.did && a.rkey === b.rkey;
}

/** True when both rows say the same of one reply. */
export function isSameReply(a: ThreadReply, b: ThreadReply): boolean {
  const isSameState = a.sortMs === b.sortMs && a.deletedMs === b.deletedMs && a.isTakenDown === b.isTakenDown;
  const isSameVersion = a.deletedMs !== null || a.judgement.version === b.judgement.version;
  return isSameState && isSameVersion && isSamePost(a.reply, b.reply) && isSamePost(a.parent, b.parent);
}

/** Returns the prefix of all reply rows of one thread. */
export function threadPrefix(owner: number, rootRkey: string): Buffer {
  const key = beginKey(owner, tableCode.threadReply);
  writeRkey(key, rootRkey);
  return key.finish();
}

/** Returns the key of one reply's row. */
export function threadReplyKey(owner: number, rootRkey: string, reply: PostRef): Buffer {
  const key = beginKey(owner, tableCode.threadReply);
  writeRkey(key, rootRkey);
  writePost(key, reply);
  return key.finish();
}

/** Returns the key of a reply among the children of its parent. */
export function childKey(owner: number, rootRkey: string, row: ThreadReply): Buffer {
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

/** Returns the prefix of the children of all posts of one thread. */
export function threadChildrenPrefix(owner: number, rootRkey: string): Buffer {
  const key = beginKey(owner, tableCode.threadChild);
  writeRkey(key, rootRkey);
  return key.finish();
}

/** Reads the reply and its sort time from a child key with a prefix of `prefixLength` bytes. */
export function readChild(key: Buffer, prefixLength: number): { reply: PostRef; sortMs: number } {
  const reader = new ByteReader(key, prefixLength);
  const sortMs = readEntryTime(reader);
  return { sortMs, reply: readPost(reader) };
}

/** Returns the bytes of a post as keys hold them. */
export function postBytes(post: PostRef): Buffer {
  writePost(valueWriter, post);
  return valueWriter.finish();
}

/** Returns where the bytes of the post at `source[at..]` end. */
export function postEnd(source: Buffer, at: number): number {
  if (isPlcAndTid(source, at)) return at + plcAndTidBytes;
  const reader = new ByteReader(source, at);
  skipDid(reader);
  skipRkey(reader);
  return reader.position;
}

/** In the value of a reply, its parent begins here, and is followed by the sort time. */
export const parentAt = 1;

/** True for the value of a reply that exists, rather than of a tombstone. */
export function isLiveReply(value: Buffer): boolean {
  return (value[0]! & flag.deleted) === 0;
}

function decodeReply(reply: PostRef, value: Buffer): ThreadReply {
  const reader = new ByteReader(value);
  const flags = reader.u8();
  const parent = readPost(reader);
  const sortMs = readEntryTime(reader);
  const isTakenDown = (flags & flag.takenDown) !== 0;
  if ((flags & flag.deleted) !== 0)
    return { reply, parent, sortMs, deletedMs: readEntryTime(reader), isTakenDown, judgement: noJudgement };
  const indexedMs = sortMs + reader.varint();
  const judgement = { indexedMs, version: reader.u48(), ...judgedByFlags(flags) };
  return { reply, parent, sortMs, deletedMs: null, isTakenDown, judgement };
}

function judgedByFlags(flags: number): Pick<Judgement, 'isFollower' | 'isAllowed' | 'verdict'> {
  return {
    isFollower: (flags & flag.follower) !== 0,
    isAllowed: (flags & flag.answered) === 0 ? null : (flags & flag.allowed) !== 0,
    verdict: (flags & flag.violating) !== 0 ? 'violating' : (flags & flag.pending) !== 0 ? 'pending' : 'clear',
  };
}

function flagsOfJudgement({ isFollower, isAllowed, verdict }: Judgement): number {
  const verdictFlag = { clear: 0, violating: flag.violating, pending: flag.pending }[verdict];
  const answer = isAllowed === null ? 0 : flag.answered | (isAllowed ? flag.allowed : 0);
  return verdictFlag | answer | (isFollower ? flag.follower : 0);
}

/** Reads one row of a thread scan. */
export function readThreadReply(key: Buffer, value: Buffer): ThreadReply {
  const reader = readKey(key);
  readRkey(reader);
  return decodeReply(readPost(reader), value);
}

/** Returns one reply of a thread, tombstones included, or undefined. */
export function getThreadReply(
  state: SlotState,
  owner: number,
  rootRkey: string,
  reply: PostRef,
): ThreadReply | undefined {
  const value = state.rows.get(threadReplyKey(owner, rootRkey, reply));
  return value === undefined ? undefined : decodeReply(reply, value);
}

/** Returns the reply of a key of this table, tombstones included. */
export function getThreadReplyAt(state: SlotState, key: Buffer): ThreadReply | undefined {
  const value = state.rows.get(key);
  return value === undefined ? undefined : readThreadReply(key, value);
}

/** Reads the reply from its key. */
export function readReplyOfKey(key: Buffer): PostRef {
  const reader = readKey(key);
  readRkey(reader);
  return readPost(reader);
}

/** Reads the rkey of the root from a key of a reply. */
export function readRootRkey(key: Buffer): string {
  return readRkey(readKey(key));
}

/** Replies above a reply among which its root is sought. */
const rootHeightMax = 100;

/** Returns the root of a stored reply, as far as the replies above it lead there. */
export function rootOfReply(state: SlotState, owner: number, rootRkey: string, row: ThreadReply): PostRef | undefined {
  let above: ThreadReply | undefined = row;
  for (let height = 0; above !== undefined && height < rootHeightMax; height++) {
    const { parent }: ThreadReply = above;
    if (parent.rkey === rootRkey && state.ownerOf(parent.did) === owner) return parent;
    above = getThreadReply(state, owner, rootRkey, parent);
  }
  return undefined;
}

/** Returns the authors that this slot has notified of a reply. */
export function notifiedOf(
  state: SlotState,
  owner: number,
  rootRkey: string,
  { reply, parent }: ThreadReply,
): string[] {
  const value = state.rows.get(threadReplyKey(owner, rootRkey, reply));
  if (value === undefined) return [];
  const reader = new ByteReader(value);
  const flags = reader.u8();
  readPost(reader);
  readEntryTime(reader);
  if ((flags & flag.deleted) !== 0) readEntryTime(reader);
  else skipVersion(reader);
  const notified = (flags & flag.parentNotified) === 0 ? [] : [parent.did];
  while (reader.remaining > 0) notified.push(readDid(reader));
  return notified;
}

function skipVersion(reader: ByteReader): void {
  reader.varint();
  reader.u48();
}

/** Stores a reply with the authors that this slot has notified of it. */
export function putThreadReply(
  state: SlotState,
  owner: number,
  rootRkey: string,
  row: ThreadReply,
  notified: readonly string[],
): void {
  const isParentNotified = notified.includes(row.parent.did);
  valueWriter.u8(
    (row.deletedMs === null ? 0 : flag.deleted) |
      (row.isTakenDown ? flag.takenDown : 0) |
      (isParentNotified ? flag.parentNotified : 0) |
      (row.deletedMs === null ? flagsOfJudgement(row.judgement) : 0),
  );
  writePost(valueWriter, row.parent);
  writeEntryTime(valueWriter, row.sortMs);
  if (row.deletedMs !== null) writeEntryTime(valueWriter, row.deletedMs);
  else {
    const { indexedMs, version } = row.judgement;
    valueWriter.varint(Math.max(0, storedTime(indexedMs) - storedTime(row.sortMs))).u48(version);
  }
  for (const did of notified) if (did !== row.parent.did) writeDid(valueWriter, did);
  state.rows.put(threadReplyKey(owner, rootRkey, row.reply), valueWriter.finish());
}

/** Stores a reply as a child of its parent. */
export function putThreadChild(state: SlotState, owner: number, rootRkey: string, row: ThreadReply): void {
  state.rows.put(childKey(owner, rootRkey, row), emptyValue);
}
