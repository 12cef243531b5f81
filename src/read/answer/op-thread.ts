/**
 * The OP thread: the chain of replies with which a root's author continues its own post.
 *
 * Each post is followed by the author's oldest reply to it, by record key. A deleted reply stays in
 * the chain as long as a later reply of the chain exists. Otherwise a sibling replaces it, but only
 * one whose record key says that it was written after the deletion; older siblings never move up.
 * The root alone is no thread.
 */
import { looseTidMs } from '../../atproto/tid.ts';
import { postUri, type ThreadReply } from '../../slot/table/thread-reply.ts';

/** A reply by the root's author. */
export type OwnReply = {
  readonly uri: string;
  readonly parentUri: string;
  readonly rkey: string;
  /** When it was deleted, or null while it exists. Units: ms. */
  readonly deletedMs: number | null;
};

/** Returns a row as it is needed here. */
export function ownReplyOf({ reply, parent, deletedMs }: ThreadReply): OwnReply {
  return { uri: postUri(reply), parentUri: postUri(parent), rkey: reply.rkey, deletedMs };
}

/** Further replies by the root's author are ignored. */
export const opThreadRepliesMax = 2_000;

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

/** One step of the walk: the replies to one post, of which the first suitable one is taken. */
type Level = { readonly siblings: readonly OwnReply[]; next: number; vacatedMs: number };

const none: readonly OwnReply[] = [];

/**
 * Returns the URIs of the OP thread, root first; none when no reply continues the root.
 *
 * A cycle of replies makes the whole thread invalid. An explicit stack allows chains of any length.
 */
export function resolveOpThread(rootUri: string, replies: readonly OwnReply[]): string[] {
  const byParent = siblingsByParent(replies);
  const levelOf = (uri: string): Level => ({ siblings: byParent.get(uri) ?? none, next: 0, vacatedMs: 0 });
  const levels: Level[] = [levelOf(rootUri)];
  /** The reply taken at each level but the last, which has none yet. */
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
    // No reply is left here: the chain ends with the last one that exists.
    const end = path.pop();
    if (end === undefined) return [];
    levels.pop();
    if (end.deletedMs === null) return [rootUri, ...path.map(({ uri }) => uri), end.uri];
    visited.delete(end.uri);
    const above = levels.at(-1)!;
    above.vacatedMs = Math.max(above.vacatedMs, end.deletedMs);
  }
}
