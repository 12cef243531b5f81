/**
 * The timeline: the newest posts of followed authors, merged from the nodes that hold them.
 *
 * Owns: the page token, the order (newest first, ties by item URI) and the official plane's cap on
 * own posts: they fill what followed authors leave free of a page, but ten may always take part.
 */
import { ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { fieldNumber, type GetTimelineRequest } from '../../proto/generated/bsky-service.ts';
import { decodePageToken } from '../../proto/page-token.ts';
import {
  beginNewestByAuthors,
  encodeTimeline,
  type FeedPosition,
  type FeedRange,
  openNewestByAuthorsAnswer,
  openTimelineAnswer,
  type RawFeed,
  type SlotFollowList,
  type TimelineAnswer,
} from '../../wire/feed-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { whenThere } from '../plan/at-once.ts';
import { emptyAnswer, type PlanContext } from '../plan/plan.ts';
import { slotOfDidText } from '../plan/slot-finder.ts';
import { mergedPage } from './feed-merge.ts';
import { admitFollows, followsOf, type NodeFollowList, splitFollows } from './follows-pages.ts';

/** A higher limit is cut to this, and the page token continues from there. */
export const feedLimitMax = 1_000;
/** Own posts that may take part in a page that followed authors could fill. */
const ownItemsMin = 10;
/** The rest of a page token is the item's URI. */
const tokenUriBytesMax = 3_072;

/** Decodes a token; null for the first page. Errors: `InvalidArgument` naming `path`. */
export function decodeFeedToken(token: string, path: string): FeedPosition | null {
  if (token === '') return null;
  const position = decodePageToken(token, tokenUriBytesMax);
  if (position === undefined || position.rest.length === 0)
    throw new DataPlaneError('InvalidArgument', `${path}: malformed`);
  return { sortMs: position.timeMs, itemUri: position.rest.toString('utf8') };
}

/** Groups the follows of slots by node. Errors: DataPlaneError `WrongEpoch` for more slots. */
export function followsByNode(elsewhere: readonly SlotFollowList[], nodeBySlot: Uint16Array): NodeFollowList[] {
  const groups = new Map<number, { count: number; texts: Buffer[] }>();
  for (const { slot, count, texts } of elsewhere) {
    const node = nodeBySlot[slot];
    // A node may have the map of twice as many already.
    if (node === undefined) throw new DataPlaneError('WrongEpoch', `follows of slot ${slot}, which is not there`);
    const group = groups.get(node);
    if (group === undefined) groups.set(node, { count, texts: [texts] });
    else {
      group.count += count;
      group.texts.push(texts);
    }
  }
  return [...groups].map(([node, { count, texts }]) => ({ node, count, texts: Buffer.concat(texts) }));
}

/** Asks for the newest items, or posts, of authors at their nodes. */
export async function newestOf(
  call: typeof nodeCalls.newestByAuthors | typeof nodeCalls.newestPosts,
  follows: readonly NodeFollowList[],
  range: FeedRange,
  { fanOut, deadlineMs }: PlanContext,
): Promise<RawFeed[]> {
  const subRequests = follows.map(({ node, count, texts }) => {
    const writer = new ByteWriter(texts.length + 512);
    beginNewestByAuthors(writer, range, count);
    return { node, payload: writer.bytes(texts).finish() };
  });
  return (await fanOut.askAll(call, subRequests, deadlineMs)).map(openNewestByAuthorsAnswer);
}

/** The lists that make a page; each is as long as the range allows, or complete. */
type TimelineFeeds = { readonly own: RawFeed; readonly followed: readonly RawFeed[] };

/** Asks the viewer's node, which knows the follows and serves some authors, then the others. */
function timelineFeeds(
  did: string,
  slot: number,
  range: FeedRange,
  context: PlanContext,
): Promise<TimelineFeeds> | TimelineFeeds {
  const { fanOut, deadlineMs } = context;
  const payload = encodeTimeline({ did, ...range });
  return whenThere(fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.timeline, payload, deadlineMs), (bytes) => {
    const answer = openTimelineAnswer(bytes);
    const { own, followed, followCount, next, elsewhere } = answer;
    admitFollows(followCount, context);
    if (next === '' && elsewhere.length === 0) return { own, followed: [followed] };
    return withOthers(did, answer, range, context);
  });
}

/** Adds what other nodes have, and what those follows have that did not fit the answer. */
async function withOthers(
  did: string,
  { own, followed, next, elsewhere }: TimelineAnswer<RawFeed>,
  range: FeedRange,
  context: PlanContext,
): Promise<TimelineFeeds> {
  const { fanOut } = context;
  const later = next === '' ? [] : splitFollows(await followsOf(did, context, next), did, context);
  const authors = [...followsByNode(elsewhere, fanOut.nodeBySlot), ...later];
  const others = await newestOf(nodeCalls.newestByAuthors, authors, range, context);
  return { own, followed: [followed, ...others] };
}

/** Returns a GetTimelineResponse. Errors: DataPlaneError `InvalidArgument` for a bad cursor. */
export function timelineOf(request: GetTimelineRequest, context: PlanContext): Promise<Uint8Array> | Uint8Array {
  const before = decodeFeedToken(request.cursor, 'GetTimelineRequest.cursor');
  const limit = Math.min(request.limit, feedLimitMax);
  const slot = slotOfDidText(request.actorDid, context.fanOut.map.slots);
  if (slot < 0 || limit <= 0) return emptyAnswer;
  // One item more than the limit shows whether there is a next page.
  const feeds = timelineFeeds(request.actorDid, slot, { before, limit: limit + 1 }, context);
  return whenThere(feeds, (there) => timelinePage(there, limit));
}

function timelinePage({ own, followed }: TimelineFeeds, limit: number): Buffer {
  const followedCount = followed.reduce((total, { count }) => total + count, 0);
  const ownMax = Math.max(Math.min(limit, ownItemsMin), limit - followedCount);
  const ownCount = Math.min(own.count, ownMax);
  const parts = [...followed.map((feed) => ({ feed, count: feed.count })), { feed: own, count: ownCount }];
  const hasMore = followedCount + ownCount > limit || own.count > ownMax;
  return mergedPage(parts, limit, hasMore ? fieldNumber.GetTimelineResponse.cursor : null);
}
