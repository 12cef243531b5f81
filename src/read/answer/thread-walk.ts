/**
 * Reads threads in the slot of their claimed root: OP threads, and the posts around a post.
 *
 * Strangers decide how large a thread is and how its posts hang together, so each walk yields when
 * its turn is over, and reads at most `threadRowsMax` rows.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, recordUri, writeDid } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { unpackedText } from '../../slot/packing/packed-json.ts';
import { hasRecord, recordKey } from '../../slot/table/record-row.ts';
import { type JsonObject, replyOf } from '../../slot/table/record-values.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import {
  getThreadReply,
  hasReplyAt,
  isSamePost,
  type PostRef,
  postBytes,
  postEnd,
  postUri,
  readChild,
  readThreadReply,
  threadChildrenPrefix,
  threadPrefix,
} from '../../slot/table/thread-reply.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ThreadRequest } from '../../wire/thread-messages.ts';
import { scanSteps } from '../lookup/page.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { type OwnReply, opThreadRepliesMax, resolveOpThread } from './op-thread.ts';

/** Further posts of an answer are left out, the deepest and then the oldest first. */
const threadPostsMax = 5_000;
/** Rows of replies that one walk reads, deleted ones included; further ones are left out. */
const threadRowsMax = 10_000;
/** Below its root, a thread of at most so many rows is read by one scan. */
const wholeThreadRowsMax = 1_000;
/** Rows of replies by roots' authors that one call reads for all its roots. */
const opThreadRowsMax = 20_000;
/** About what a row of a thread takes, and a reply in the search for its OP thread. Units: µs. */
const rowMicros = 10;
const resolveMicros = 2;

const prefixWriter = new ByteWriter(512);
const view = new RecordView();
const replyText = '"reply"';

/** Returns the URIs of the OP thread of a root, root first; none when there is no such thread. */
function* opThreadOf(
  state: SlotState,
  owner: number,
  root: RecordRef,
  turn: Turn,
  rows: { left: number },
): SlicedRead<string[]> {
  if (root.collection !== nsid.post) return [];
  prefixWriter.clear().bytes(threadPrefix(owner, root.rkey));
  writeDid(prefixWriter, root.did);
  const prefix = prefixWriter.finish();
  const replies: OwnReply[] = [];
  const limit = Math.min(opThreadRepliesMax, rows.left);
  for (const step of scanSteps(state.rows, { start: prefix, end: prefixEnd(prefix), limit })) {
    for (const { key, value } of step) {
      const { reply, parent, deletedMs } = readThreadReply(key, value);
      replies.push({ uri: postUri(reply), parentUri: postUri(parent), rkey: reply.rkey, deletedMs });
    }
    if (turn.isOver(step.length * rowMicros)) yield;
  }
  rows.left -= replies.length;
  if (turn.isOver(replies.length * resolveMicros)) yield;
  return replies.length === 0 ? [] : resolveOpThread(recordUri(root), replies);
}

/**
 * Returns the OP threads of roots, in order; once `opThreadRowsMax` rows were read, the rest have
 * none. Errors: DataPlaneError `WrongEpoch`.
 */
export function* opThreadsOf(lookup: SlotLookup, rootUris: readonly string[], turn: Turn): SlicedRead<string[][]> {
  const threads: string[][] = [];
  const rows = { left: opThreadRowsMax };
  for (const uri of rootUris) {
    const root = parseRecordUri(uri);
    const state = root && lookup.stateOf(root.did);
    const owner = root && state && ownerOfDid(state, root.did);
    threads.push(owner === undefined ? [] : yield* opThreadOf(state!, owner, root!, turn, rows));
    if (turn.isOver(rowMicros)) yield;
  }
  return threads;
}

/** Returns the URI of each post's claimed root: its own if it is no reply, '' if it is absent. */
export function* claimedRoots(lookup: SlotLookup, postUris: readonly string[], turn: Turn): SlicedRead<string[]> {
  const roots: string[] = [];
  for (const uri of postUris) {
    const row = rowOfPost(lookup, uri);
    roots.push(row === undefined ? '' : (rootOfPost(row) ?? uri));
    // Records are parsed at some hundred bytes a microsecond.
    if (turn.isOver(rowMicros + (row === undefined ? 0 : row.length / 100))) yield;
  }
  return roots;
}

/** Returns the volatile row of a post. */
function rowOfPost(lookup: SlotLookup, uri: string): Buffer | undefined {
  const ref = parseRecordUri(uri);
  if (ref === undefined || ref.collection !== nsid.post) return undefined;
  const state = lookup.stateOf(ref.did);
  const owner = ownerOfDid(state, ref.did);
  if (owner === undefined) return undefined;
  const row = state.rows.getVolatile(recordKey(owner, ref.collection, ref.rkey));
  if (row === undefined) requireWhole(state);
  return row;
}

function rootOfPost(row: Buffer): string | undefined {
  const json = unpackedText(row, view.read(row).bodyAt, row.length);
  if (!json.includes(replyText)) return undefined;
  const reply = replyOf(JSON.parse(json) as JsonObject);
  return reply === undefined ? undefined : recordUri(reply.root);
}

export type ThreadAnswer = { readonly uris: readonly string[]; readonly opThread: readonly string[] };

/** A thread's rows are keyed by its root's owner and rkey. */
type Thread = { readonly state: SlotState; readonly owner: number; readonly root: PostRef; readonly turn: Turn };

function isThere({ state, owner, root }: Thread, post: PostRef): boolean {
  if (isSamePost(post, root)) return hasRecord(state, owner, nsid.post, root.rkey);
  const row = getThreadReply(state, owner, root.rkey, post);
  return row !== undefined && row.deletedMs === null;
}

/** Returns the anchor and the posts above it, nearest first, up to the first missing one. */
function* ancestorsOf(thread: Thread, anchor: PostRef, above: number): SlicedRead<string[]> {
  const { state, owner, root, turn } = thread;
  const visited = new Set<string>();
  let post = anchor;
  for (let height = 0; height <= above && visited.size < threadPostsMax; height++) {
    const uri = postUri(post);
    if (visited.has(uri) || !isThere(thread, post)) break;
    visited.add(uri);
    if (turn.isOver(rowMicros)) yield;
    const row = isSamePost(post, root) ? undefined : getThreadReply(state, owner, root.rkey, post);
    if (row === undefined) break;
    post = row.parent;
  }
  return [...visited];
}

type Descendant = { readonly post: Buffer; readonly sortMs: number; readonly uri: string };

/**
 * Returns the keys of the children of each post of a thread, newest first, by the post's bytes; or
 * null for a large thread, whose posts are looked up one at a time.
 */
function childKeysByPost({ state, owner, root, turn }: Thread): Map<string, Buffer[]> | null {
  const prefix = threadChildrenPrefix(owner, root.rkey);
  const range = { start: prefixEnd(prefix), end: prefix, isReverse: true, limit: wholeThreadRowsMax + 1 };
  const keys = [...state.rows.scanKeys(range)];
  turn.isOver(keys.length);
  if (keys.length > wholeThreadRowsMax) return null;
  const byPost = new Map<string, Buffer[]>();
  for (const key of keys) {
    const post = key.latin1Slice(prefix.length, postEnd(key, prefix.length));
    const children = byPost.get(post);
    if (children === undefined) byPost.set(post, [key]);
    else children.push(key);
  }
  return byPost;
}

/** The posts below an anchor, as they are collected. Posts are bytes as in keys. */
class Descendants {
  readonly found: Descendant[] = [];
  readonly #thread: Thread;
  readonly #replies: Buffer;
  readonly #children: Buffer;
  readonly #keysByPost: Map<string, Buffer[]> | null;
  readonly #visited: Set<string>;
  readonly #postsMax: number;
  #rowsLeft = threadRowsMax;

  constructor(thread: Thread, anchor: PostRef, postsMax: number) {
    const { owner, root } = thread;
    this.#thread = thread;
    this.#replies = threadPrefix(owner, root.rkey);
    this.#children = threadChildrenPrefix(owner, root.rkey);
    // Below the root is nearly all that one scan reads.
    this.#keysByPost = isSamePost(anchor, root) ? childKeysByPost(thread) : null;
    this.#visited = new Set([postUri(anchor)]);
    this.#postsMax = postsMax;
  }

  get isFull(): boolean {
    return this.found.length >= this.#postsMax || this.#rowsLeft <= 0;
  }

  /**
   * Adds the existing replies to one post, newest first, from its first or below the key `before`.
   *
   * Returns: the key where it stopped as the turn is over, or null at the end.
   */
  addReplies(post: Buffer, before: Buffer | null): Buffer | null {
    const prefixLength = this.#children.length + post.length;
    for (const key of this.#childKeys(post, before)) {
      if (this.isFull) return null;
      this.#addReply(key, prefixLength);
      if (this.#thread.turn.isOver(rowMicros)) return key;
    }
    return null;
  }

  #childKeys(post: Buffer, before: Buffer | null): Iterable<Buffer> {
    if (this.#keysByPost !== null) {
      const keys = this.#keysByPost.get(post.latin1Slice()) ?? [];
      return before === null ? keys : keys.slice(keys.indexOf(before) + 1);
    }
    const prefix = Buffer.concat([this.#children, post]);
    const keys = this.#thread.state.rows.scanKeys({ start: before ?? prefixEnd(prefix), end: prefix, isReverse: true });
    return before === null ? keys : keysBelow(keys, before);
  }

  #addReply(key: Buffer, prefixLength: number): void {
    this.#rowsLeft--;
    const replyAt = prefixLength + timeBytes;
    if (!hasReplyAt(this.#thread.state, this.#replies, key, replyAt)) return;
    const { reply, sortMs } = readChild(key, prefixLength);
    const uri = postUri(reply);
    if (this.#visited.has(uri)) return;
    this.#visited.add(uri);
    this.found.push({ post: key.subarray(replyAt), sortMs, uri });
  }
}

function* keysBelow(keys: Iterable<Buffer>, before: Buffer): Generator<Buffer> {
  for (const key of keys) if (!key.equals(before)) yield key;
}

/** Collects the posts below the anchor level by level, and returns them newest first. */
function* descendantsOf(
  thread: Thread,
  anchor: PostRef,
  below: number,
  postsMax: number,
): SlicedRead<readonly Descendant[]> {
  const descendants = new Descendants(thread, anchor, postsMax);
  const { found } = descendants;
  let level: readonly Buffer[] = [postBytes(anchor)];
  for (let depth = 1; depth <= below && level.length > 0; depth++) {
    const from = found.length;
    for (const parent of level) {
      if (descendants.isFull) break;
      // No scan stays open across a yield.
      for (let key = descendants.addReplies(parent, null); key !== null; key = descendants.addReplies(parent, key))
        yield;
      if (thread.turn.isOver(rowMicros)) yield;
    }
    level = found.slice(from).map(({ post }) => post);
  }
  if (thread.turn.isOver(found.length)) yield;
  return found.sort((a, b) => b.sortMs - a.sortMs);
}

/**
 * Reads a thread around its anchor.
 *
 * An anchor that does not exist has no ancestors and is left out itself, but its descendants are
 * not. Errors: DataPlaneError `WrongEpoch`.
 */
export function* threadAround(lookup: SlotLookup, request: ThreadRequest, turn: Turn): SlicedRead<ThreadAnswer> {
  const root = parseRecordUri(request.root);
  const anchor = parseRecordUri(request.anchor);
  if (root === undefined || anchor === undefined) return { uris: [], opThread: [] };
  const state = lookup.stateOf(root.did);
  const owner = ownerOfDid(state, root.did);
  if (owner === undefined || root.collection !== nsid.post || anchor.collection !== nsid.post)
    return { uris: [], opThread: [] };
  const thread = { state, owner, root: { did: root.did, rkey: root.rkey }, turn };
  const ancestors = yield* ancestorsOf(thread, anchor, request.above);
  const descendants = yield* descendantsOf(thread, anchor, request.below, threadPostsMax - ancestors.length);
  if (turn.isOver(descendants.length)) yield;
  const opThread = yield* opThreadOf(state, owner, root, turn, { left: opThreadRowsMax });
  if (ancestors.length === 0) requireWhole(state);
  return { uris: [...ancestors, ...descendants.map(({ uri }) => uri)], opThread };
}
