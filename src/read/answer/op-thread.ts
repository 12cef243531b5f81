/**
 * The OP thread: the one line of replies by which an author goes on with what it began.
 *
 * From the root downwards the oldest reply of the author is taken, oldest by record key. A deleted reply keeps its place as long as
 * something of the line lives below it. Where nothing does, its place is free, but only for a reply whose record key says that it was
 * written after the deletion; older siblings never move up. A line of the root alone is no thread.
 */
import { looseTidMs } from '../../atproto/tid.ts';

/** One reply of the root's author. */
export type OwnReply = {
  readonly uri: string;
  readonly parentUri: string;
  readonly rkey: string;
  /** When it was deleted, or null while it exists. Units: ms. */
  readonly deletedMs: number | null;
};

/** Replies of the longest line; what a thread holds beyond is left out. */
export const opThreadRepliesMax = 5_000;

function isWrittenAfter(reply: OwnReply, timeMs: number): boolean {
  const writtenMs = looseTidMs(reply.rkey);
  return writtenMs !== undefined && writtenMs > timeMs;
}

function siblingsByParent(replies: readonly OwnReply[]): Map<string, OwnReply[]> {
  const byParent = new Map<string, OwnReply[]>();
  for (const reply of replies) {
    const siblings = byParent.get(reply.parentUri);
    if (siblings === undefined) byParent.set(reply.parentUri, [reply]);
    else siblings.push(reply);
  }
  for (const siblings of byParent.values()) siblings.sort((a, b) => (a.uri < b.uri ? -1 : a.uri > b.uri ? 1 : 0));
  return byParent;
}

/** One step of the walk: the replies to one post, of which the first that fits is taken. */
type Level = { readonly siblings: readonly OwnReply[]; next: number; vacatedMs: number };

const none: readonly OwnReply[] = [];

/**
 * Returns the URIs of the OP thread, root first; none when no reply goes on with it.
 *
 * Replies that hang in a circle make the whole thread invalid. The walk keeps its own stack, so that its depth is bounded by memory alone.
 */
export function resolveOpThread(rootUri: string, replies: readonly OwnReply[]): string[] {
  const byParent = siblingsByParent(replies);
  const levelOf = (uri: string): Level => ({ siblings: byParent.get(uri) ?? none, next: 0, vacatedMs: 0 });
  const levels: Level[] = [levelOf(rootUri)];
  /** The reply taken at each level; the last level has none yet. */
  const path: OwnReply[] = [];
  const visited = new Set([rootUri]);
  for (;;) {
    const level = levels.at(-1)!;
    const reply = level.siblings[level.next++];
    if (reply !== undefined) {
      if (visited.has(reply.uri)) return [];
      if (level.vacatedMs !== 0 && !isWrittenAfter(reply, level.vacatedMs)) continue;
      visited.add(reply.uri);
      path.push(reply);
      levels.push(levelOf(reply.uri));
      continue;
    }
    // Nothing more here: the line ends with the last reply that exists.
    const end = path.pop();
    if (end === undefined) return [];
    levels.pop();
    if (end.deletedMs === null) return [rootUri, ...path.map(({ uri }) => uri), end.uri];
    visited.delete(end.uri);
    const above = levels.at(-1)!;
    above.vacatedMs = Math.max(above.vacatedMs, end.deletedMs);
  }
}
