/**
 * Reads all replies of a thread by one scan, and then finds those below its anchor.
 *
 * A reply names its parent, which may come later or not at all, and replies may form a circle. So
 * the replies to each post are linked once all are read.
 */
import { hasBytesAt } from '../../base/bytes.ts';
import { isLiveReply, parentAt, postEnd, readThreadReply } from '../../slot/table/thread-reply.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { LentRow } from '../../storage/row-cursor.ts';
import { stepRows } from '../lookup/page.ts';
import type { SlicedRead } from '../lookup/turn.ts';
import { type OwnReply, opThreadRepliesMax, ownReplyOf } from './op-thread.ts';
import type { Thread } from './thread.ts';
import type { Below, ThreadFinds } from './thread-finds.ts';

/** About what a row takes. Units: µs. */
const rowMicros = 0.5;

/**
 * Reads the replies that exist, unless the thread has more than `rowsMax` rows.
 *
 * Returns: all replies by the root's author, tombstones included; null for a larger thread.
 */
export function* readReplies(thread: Thread, finds: ThreadFinds, rowsMax: number): SlicedRead<OwnReply[] | null> {
  const { state, replies, author, turn } = thread;
  const own: OwnReply[] = [];
  const end = prefixEnd(replies);
  let start = replies;
  const limit = Math.min(stepRows, rowsMax);
  for (let rows = 0; rows < rowsMax; rows += limit) {
    let read = 0;
    state.rows.visit({ start, end, limit }, (row) => {
      if (hasBytesAt(row.key, replies.length, author) && own.length < opThreadRepliesMax)
        own.push(ownReplyOf(readThreadReply(row.key, row.value)));
      if (isLiveReply(row.value)) addReply(finds, row, replies.length);
      read++;
      if (read === limit) start = keyAfterRow(row);
      return true;
    });
    const isOver = turn.isOver(read * rowMicros);
    if (read < limit) return own;
    if (isOver) yield;
  }
  return null;
}

function keyAfterRow({ key, keyLength }: LentRow): Buffer {
  const after = Buffer.alloc(keyLength + 1);
  key.copy(after, 0, 0, keyLength);
  return after;
}

function addReply(finds: ThreadFinds, { key, keyLength, value }: LentRow, replyAt: number): void {
  const { posts, order } = finds;
  const post = posts.add(key, replyAt, keyLength);
  const timeAt = postEnd(value, parentAt);
  const parent = posts.add(value, parentAt, timeAt);
  posts.parents[post] = parent;
  posts.setTime(post, value, timeAt);
  order.add(finds.count, posts.timeHighs[post]!, posts.timeLows[post]!);
  finds.add(post);
}

/** Links the replies to each post: newest first, of one time those with greater keys first. */
function linkReplies({ posts, order, found }: ThreadFinds): void {
  posts.newest.fill(0, 0, posts.count);
  order.sort();
  for (let position = 0; position < order.count; position++) {
    const post = found[order.at(position)]!;
    const parent = posts.parents[post]!;
    posts.older[post] = posts.newest[parent]!;
    posts.newest[parent] = post + 1;
  }
}

/** Finds the posts below the anchor among the replies that were read. */
export function findBelow(finds: ThreadFinds, { anchor, levels, postsMax }: Below): void {
  const { posts } = finds;
  const top = posts.add(anchor, 0, anchor.length);
  linkReplies(finds);
  finds.count = 0;
  const addRepliesTo = (parent: number): void => {
    for (let entry = posts.newest[parent]!; entry !== 0; entry = posts.older[entry - 1]!)
      if (finds.count < postsMax && entry - 1 !== top) finds.add(entry - 1);
  };
  if (levels > 0) addRepliesTo(top);
  for (let level = 2, from = 0; level <= levels && from < finds.count; level++) {
    const levelEnd = finds.count;
    for (; from < levelEnd; from++) addRepliesTo(finds.found[from]!);
  }
}
