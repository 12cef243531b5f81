/** Reads threads in the slot of their claimed root: OP threads, and the posts around a post. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, recordUri, writeDid } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { unpackedText } from '../../slot/packing/packed-json.ts';
import { hasRecord, recordKey } from '../../slot/table/record-row.ts';
import { type JsonObject, replyOf } from '../../slot/table/record-values.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import {
  childPrefix,
  getThreadReply,
  isSamePost,
  type PostRef,
  postUri,
  readChild,
  readThreadReply,
  threadPrefix,
} from '../../slot/table/thread-reply.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { ThreadRequest } from '../../wire/thread-messages.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { type OwnReply, opThreadRepliesMax, resolveOpThread } from './op-thread.ts';

/** Further posts of an answer are left out, the deepest and then the oldest first. */
const threadPostsMax = 5_000;
/** Further replies to one post are ignored. */
const childrenReadMax = 5_000;

const prefixWriter = new ByteWriter(512);
const view = new RecordView();
const replyText = '"reply"';

/** Returns the URIs of the OP thread of a root, root first; none when there is no such thread. */
function opThreadOf(state: SlotState, owner: number, root: RecordRef): string[] {
  if (root.collection !== nsid.post) return [];
  prefixWriter.clear().bytes(threadPrefix(owner, root.rkey));
  writeDid(prefixWriter, root.did);
  const prefix = prefixWriter.finish();
  const replies: OwnReply[] = [];
  for (const { key, value } of state.rows.scan({ start: prefix, end: prefixEnd(prefix), limit: opThreadRepliesMax })) {
    const { reply, parent, deletedMs } = readThreadReply(key, value);
    replies.push({ uri: postUri(reply), parentUri: postUri(parent), rkey: reply.rkey, deletedMs });
  }
  return replies.length === 0 ? [] : resolveOpThread(recordUri(root), replies);
}

/** Returns the OP threads of roots, in order. Errors: DataPlaneError `WrongEpoch`. */
export function opThreadsOf(lookup: SlotLookup, rootUris: readonly string[]): string[][] {
  return rootUris.map((uri) => {
    const root = parseRecordUri(uri);
    if (root === undefined) return [];
    const state = lookup.stateOf(root.did);
    const owner = ownerOfDid(state, root.did);
    return owner === undefined ? [] : opThreadOf(state, owner, root);
  });
}

/** Returns the URI of each post's claimed root: its own if it is no reply, '' if it is absent. */
export function claimedRoots(lookup: SlotLookup, postUris: readonly string[]): string[] {
  return postUris.map((uri) => {
    const ref = parseRecordUri(uri);
    if (ref === undefined || ref.collection !== nsid.post) return '';
    const state = lookup.stateOf(ref.did);
    const owner = ownerOfDid(state, ref.did);
    const row = owner === undefined ? undefined : state.rows.getVolatile(recordKey(owner, ref.collection, ref.rkey));
    return row === undefined ? '' : (rootOfPost(row) ?? uri);
  });
}

function rootOfPost(row: Buffer): string | undefined {
  const json = unpackedText(row, view.read(row).bodyAt, row.length);
  if (!json.includes(replyText)) return undefined;
  const reply = replyOf(JSON.parse(json) as JsonObject);
  return reply === undefined ? undefined : recordUri(reply.root);
}

export type ThreadAnswer = { readonly uris: readonly string[]; readonly opThread: readonly string[] };

/** A thread's rows are keyed by its root's owner and rkey. */
type Thread = { readonly state: SlotState; readonly owner: number; readonly root: PostRef };

function isThere({ state, owner, root }: Thread, post: PostRef): boolean {
  if (isSamePost(post, root)) return hasRecord(state, owner, nsid.post, root.rkey);
  const row = getThreadReply(state, owner, root.rkey, post);
  return row !== undefined && row.deletedMs === null;
}

/** Returns the anchor and the posts above it, nearest first, up to the first missing one. */
function ancestorsOf(thread: Thread, anchor: PostRef, above: number): PostRef[] {
  const { state, owner, root } = thread;
  const posts: PostRef[] = [];
  const visited = new Set<string>();
  let post = anchor;
  for (let height = 0; height <= above && posts.length < threadPostsMax; height++) {
    const uri = postUri(post);
    if (visited.has(uri) || !isThere(thread, post)) break;
    visited.add(uri);
    posts.push(post);
    const row = isSamePost(post, root) ? undefined : getThreadReply(state, owner, root.rkey, post);
    if (row === undefined) break;
    post = row.parent;
  }
  return posts;
}

type Descendant = { readonly post: PostRef; readonly sortMs: number };

/** Returns the existing replies to one post, newest first. */
function repliesTo({ state, owner, root }: Thread, post: PostRef, limit: number): Descendant[] {
  const prefix = childPrefix(owner, root.rkey, post);
  const replies: Descendant[] = [];
  for (const key of state.rows.scanKeys({
    start: prefixEnd(prefix),
    end: prefix,
    isReverse: true,
    limit: childrenReadMax,
  })) {
    const { reply, sortMs } = readChild(key, prefix.length);
    const row = getThreadReply(state, owner, root.rkey, reply);
    if (row === undefined || row.deletedMs !== null) continue;
    replies.push({ post: reply, sortMs });
    if (replies.length >= limit) break;
  }
  return replies;
}

/** Collects the posts below the anchor level by level, and returns them newest first. */
function descendantsOf(thread: Thread, anchor: PostRef, below: number, postsMax: number): Descendant[] {
  const found: Descendant[] = [];
  const visited = new Set([postUri(anchor)]);
  let level: readonly PostRef[] = [anchor];
  for (let depth = 1; depth <= below && level.length > 0 && found.length < postsMax; depth++) {
    const next: PostRef[] = [];
    for (const parent of level) {
      for (const reply of repliesTo(thread, parent, postsMax - found.length)) {
        const uri = postUri(reply.post);
        if (visited.has(uri)) continue;
        visited.add(uri);
        found.push(reply);
        next.push(reply.post);
      }
      if (found.length >= postsMax) break;
    }
    level = next;
  }
  return found.sort((a, b) => b.sortMs - a.sortMs);
}

/**
 * Reads a thread around its anchor.
 *
 * An anchor that does not exist has no ancestors and is left out itself, but its descendants are
 * not. Errors: DataPlaneError `WrongEpoch`.
 */
export function threadAround(lookup: SlotLookup, request: ThreadRequest): ThreadAnswer {
  const root = parseRecordUri(request.root);
  const anchor = parseRecordUri(request.anchor);
  if (root === undefined || anchor === undefined) return { uris: [], opThread: [] };
  const state = lookup.stateOf(root.did);
  const owner = ownerOfDid(state, root.did);
  if (owner === undefined || root.collection !== nsid.post || anchor.collection !== nsid.post)
    return { uris: [], opThread: [] };
  const thread = { state, owner, root: { did: root.did, rkey: root.rkey } };
  const ancestors = ancestorsOf(thread, anchor, request.above);
  const descendants = descendantsOf(thread, anchor, request.below, threadPostsMax - ancestors.length);
  const uris = [...ancestors, ...descendants.map(({ post }) => post)].map(postUri);
  return { uris, opThread: opThreadOf(state, owner, root) };
}
