/**
 * Reads the posts around a post, in the slot of their claimed root.
 *
 * Strangers decide how large a thread is and how its posts hang together, so each walk yields when
 * its turn is over, and reads at most so many rows.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendPostField } from '../../slot/packing/key-text.ts';
import { hasRecord } from '../../slot/table/record-row.ts';
import { isLiveReply, parentAt, postBytes, postEnd } from '../../slot/table/thread-reply.ts';
import type { ThreadRequest } from '../../wire/thread-messages.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { type OwnReply, opThreadRepliesMax } from './op-thread.ts';
import { opThreadOf, ownRepliesOf } from './op-thread-rows.ts';
import { rowMicros, type Thread, threadOf } from './thread.ts';
import { type Below, ThreadFinds } from './thread-finds.ts';
import { findByLevels } from './thread-levels.ts';
import type { ThreadPosts } from './thread-posts.ts';
import { findBelow, readReplies } from './whole-thread.ts';

/** Further posts of an answer are left out, the deepest and then the oldest first. */
const threadPostsMax = 5_000;
/** Below its root, a thread of at most so many rows is read by one scan. */
const wholeThreadRowsMax = 10_000;
/** Below another post are often few, so that only a small thread is read so. */
const anchoredThreadRowsMax = 64;
/** About what it takes to write a post. Units: µs. */
const findMicros = 0.5;

const fields = fieldNumber.GetThreadResponse;
const keyWriter = new ByteWriter(1024);

/**
 * Writes the anchor and the posts above it as fields, nearest first, up to the first missing one.
 *
 * Returns: how many.
 */
function* writeAncestors(
  into: MessageWriter,
  thread: Thread,
  posts: ThreadPosts,
  { anchor, above }: { readonly anchor: Buffer; readonly above: number },
): SlicedRead<number> {
  const { state, owner, rootRkey, root, replies, turn } = thread;
  const levelsMax = Math.min(above + 1, threadPostsMax);
  let post = posts.add(anchor, 0, anchor.length);
  let level = 0;
  // A post that was met before has a lower index.
  for (; level < levelsMax && post === level; level++) {
    const { bytes, starts } = posts;
    const isRoot = posts.isAt(post, root, 0, root.length);
    const key = keyWriter
      .clear()
      .bytes(replies)
      .raw(bytes, starts[post]!, starts[post + 1]!)
      .view();
    const row = isRoot ? undefined : state.rows.getVolatile(key);
    const isThere = isRoot ? hasRecord(state, owner, nsid.post, rootRkey) : row !== undefined && isLiveReply(row);
    if (!isThere) break;
    appendPostField(into, fields.uris, bytes, starts[post]!);
    if (row !== undefined) post = posts.add(row, parentAt, postEnd(row, parentAt));
    if (turn.isOver(rowMicros)) yield;
  }
  return level;
}

/**
 * Finds the posts below the anchor. Returns the replies by the root's author, where all replies
 * were read; else null.
 */
function* findDescendants(thread: Thread, finds: ThreadFinds, below: Below): SlicedRead<OwnReply[] | null> {
  // Below the root is nearly all that one scan reads.
  const rowsMax = below.anchor.equals(thread.root) ? wholeThreadRowsMax : anchoredThreadRowsMax;
  const own = yield* readReplies(thread, finds, rowsMax);
  if (own === null) yield* findByLevels(thread, finds, below);
  else findBelow(finds, below);
  return own;
}

const idleFindsMax = 8;
const idleFinds: ThreadFinds[] = [];

/**
 * Writes a GetThreadResponse: the thread around an anchor.
 *
 * An anchor that does not exist has no ancestors and is left out itself, but its descendants are
 * not. Errors: DataPlaneError `WrongEpoch`.
 */
export function* writeThread(
  into: MessageWriter,
  lookup: SlotLookup,
  request: ThreadRequest,
  turn: Turn,
): SlicedRead<void> {
  const root = parseRecordUri(request.root);
  const anchorRef = parseRecordUri(request.anchor);
  if (root === undefined || anchorRef === undefined) return;
  const state = lookup.stateOf(root.did);
  const owner = ownerOfDid(state, root.did);
  if (owner === undefined || root.collection !== nsid.post || anchorRef.collection !== nsid.post) return;
  const thread = threadOf(state, owner, root, turn);
  const anchor = postBytes(anchorRef);
  const finds = idleFinds.pop() ?? new ThreadFinds();
  finds.clear();
  const ancestors = yield* writeAncestors(into, thread, finds.posts, { anchor, above: request.above });
  finds.clear();
  const below = { anchor, levels: request.below, postsMax: threadPostsMax - ancestors };
  const own = yield* findDescendants(thread, finds, below);
  if (turn.isOver(finds.count * findMicros)) yield;
  finds.write(into, fields.uris);
  if (finds.isSmall && idleFinds.length < idleFindsMax) idleFinds.push(finds);
  const replies = own ?? (yield* ownRepliesOf(state, owner, root, turn, opThreadRepliesMax));
  const opThread = yield* opThreadOf(root, replies, turn);
  for (const uri of opThread) into.textField(fields.opThread, uri);
  if (ancestors === 0) requireWhole(state);
}
