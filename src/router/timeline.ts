/**
 * The timeline: a pull over the followed authors, merged from the nodes that hold them.
 *
 * Owns: the page token, the order (newest first, ties by item URI) and the cap on own posts, which is the official plane's:
 * own posts fill what followed authors leave free, and at least ten of them may take part in a page.
 */
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { encodeMessage } from '../proto/codec.ts';
import type { GetTimelineRequest } from '../proto/generated/bsky-service.ts';
import {
  beginNewestByAuthors,
  decodeNewestByAuthorsAnswer,
  encodeNewestByAuthors,
  type FeedItem,
  type FeedPlace,
  slotCalls,
} from '../wire/read-messages.ts';
import { followsOf, splitFollows } from './follows-pages.ts';
import { emptyAnswer, type PlanContext } from './plan.ts';
import { slotOfDidText } from './slot-finder.ts';

/** A greater limit is taken as this: the page token goes on from there. */
const timelineLimitMax = 1_000;
/** Own posts that may take part in a page that followed authors fill. */
const ownItemsMin = 10;

/** Returns the token of a place: its time, then its URI in base64url, so that `::` never appears. */
function timelineToken({ sortMs, itemUri }: FeedPlace): string {
  return `${sortMs}__${Buffer.from(itemUri, 'utf8').toString('base64url')}`;
}

/** Reads a token; null for the first page. Errors: DataPlaneError `InvalidArgument`. */
function timelinePlace(token: string): FeedPlace | null {
  if (token === '') return null;
  const match = /^(-?\d{1,15})__([A-Za-z0-9_-]{1,4096})$/.exec(token);
  if (match === null) throw new DataPlaneError('InvalidArgument', 'GetTimelineRequest.cursor: malformed');
  return { sortMs: Number(match[1]), itemUri: Buffer.from(match[2]!, 'base64url').toString('utf8') };
}

function isBefore(a: FeedItem, b: FeedItem): boolean {
  return a.sortMs > b.sortMs || (a.sortMs === b.sortMs && a.itemUri > b.itemUri);
}

/** Merges ordered lists into their first `limit` items. */
function mergeFeeds(lists: readonly (readonly FeedItem[])[], limit: number): FeedItem[] {
  const merged: FeedItem[] = [];
  const next = lists.map(() => 0);
  while (merged.length < limit) {
    let best = -1;
    for (let list = 0; list < lists.length; list++) {
      const item = lists[list]![next[list]!];
      if (item === undefined) continue;
      if (best < 0 || isBefore(item, lists[best]![next[best]!]!)) best = list;
    }
    if (best < 0) break;
    merged.push(lists[best]![next[best]!]!);
    next[best]!++;
  }
  return merged;
}

async function ownItems(
  did: string,
  slot: number,
  before: FeedPlace | null,
  limit: number,
  { fanOut, deadlineMs }: PlanContext,
): Promise<FeedItem[]> {
  const payload = encodeNewestByAuthors({ before, limit, authors: [did] });
  return decodeNewestByAuthorsAnswer(
    await fanOut.ask(fanOut.nodeBySlot[slot]!, slotCalls.newestByAuthors, payload, deadlineMs),
  );
}

async function followedItems(
  did: string,
  before: FeedPlace | null,
  limit: number,
  context: PlanContext,
): Promise<FeedItem[]> {
  const parts = splitFollows(await followsOf(did, context), did, context);
  const questions = parts.map(({ node, count, texts }) => {
    const writer = new ByteWriter(texts.length + 512);
    beginNewestByAuthors(writer, before, limit, count);
    return { node, payload: writer.bytes(texts).finish() };
  });
  const answers = await context.fanOut.askAll(slotCalls.newestByAuthors, questions, context.deadlineMs);
  return mergeFeeds(answers.map(decodeNewestByAuthorsAnswer), limit);
}

/** Composes one page of what is followed and what is own; each list holds one item beyond the limit when there are more. */
function timelinePage(
  followed: readonly FeedItem[],
  own: readonly FeedItem[],
  limit: number,
): { items: FeedItem[]; next: FeedPlace | null } {
  const ownMax = Math.max(Math.min(limit, ownItemsMin), limit - Math.min(followed.length, limit));
  const taken = own.slice(0, ownMax);
  const items = mergeFeeds([followed, taken], limit);
  const hasMore = followed.length + taken.length > limit || own.length > ownMax;
  return { items, next: hasMore ? (items.at(-1) ?? null) : null };
}

/** Answers GetTimeline. */
export async function timelineOf(request: GetTimelineRequest, context: PlanContext): Promise<Uint8Array> {
  const before = timelinePlace(request.cursor);
  const limit = Math.min(request.limit, timelineLimitMax);
  const slot = slotOfDidText(request.actorDid, context.fanOut.map.slots);
  if (slot < 0 || limit <= 0) return emptyAnswer;
  const [followed, own] = await Promise.all([
    followedItems(request.actorDid, before, limit + 1, context),
    ownItems(request.actorDid, slot, before, limit + 1, context),
  ]);
  const { items, next } = timelinePage(followed, own, limit);
  return encodeMessage('GetTimelineResponse', {
    items: items.map(({ itemUri, postUri }) => ({ uri: postUri, repost: itemUri === postUri ? '' : itemUri })),
    cursor: next === null ? '' : timelineToken(next),
  });
}
