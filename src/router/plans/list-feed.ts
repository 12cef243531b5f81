/**
 * The feed of a list: the newest posts of its members, merged from the nodes that hold them.
 *
 * Reposts are left out, as on the official data plane, and who opted out of a reference list. The
 * order and the page token are those of the timeline.
 */
import { fieldNumber, type GetListFeedRequest } from '../../proto/generated/bsky-service.ts';
import { encodeTimeline, type FeedRange, openTimelineAnswer, type RawFeed } from '../../wire/feed-messages.ts';
import {
  encodeFollowsOf,
  type FollowPage,
  followsPageLimit,
  openFollowsOfAnswer,
} from '../../wire/follows-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { emptyAnswer, type PlanContext } from '../plan/plan.ts';
import { didOfUri, slotOfDidText } from '../plan/slot-finder.ts';
import { mergedPage } from './feed-merge.ts';
import { admitFollows, splitFollows } from './follows-pages.ts';
import { decodeFeedToken, feedLimitMax, followsByNode, newestOf } from './timeline.ts';

/** Of a list with more members, the first in the slot's order take part. */
const membersMax = 100_000;
/** Pages of members after the first: where many opted out, pages hold few. */
const memberPagesMax = 100;

/** Returns the pages of members after the token `from`; none without one. */
async function membersAfter(from: string, listUri: string, slot: number, context: PlanContext): Promise<FollowPage[]> {
  const { fanOut, deadlineMs } = context;
  const pages: FollowPage[] = [];
  let after = from;
  for (let count = 0; after !== '' && count < membersMax && pages.length < memberPagesMax; ) {
    const payload = encodeFollowsOf({ did: listUri, after, limit: followsPageLimit });
    const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.membersOf, payload, deadlineMs);
    const page = openFollowsOfAnswer(answer);
    pages.push(page);
    count += page.count;
    admitFollows(page.count, context);
    after = page.next;
  }
  return pages;
}

/** Asks the list's node, which knows the members and serves some of them, then the others. */
async function feedsOf(listUri: string, slot: number, range: FeedRange, context: PlanContext): Promise<RawFeed[]> {
  const { fanOut, deadlineMs } = context;
  const payload = encodeTimeline({ did: listUri, ...range });
  const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.listFeed, payload, deadlineMs);
  const { followed, followCount, next, elsewhere } = openTimelineAnswer(answer);
  admitFollows(followCount, context);
  const later = splitFollows(await membersAfter(next, listUri, slot, context), '', context);
  const members = [...followsByNode(elsewhere, fanOut.nodeBySlot), ...later];
  return [followed, ...(await newestOf(nodeCalls.newestPosts, members, range, context))];
}

/** Returns a GetListFeedResponse. Errors: DataPlaneError `InvalidArgument` for a bad cursor. */
export async function listFeedOf(request: GetListFeedRequest, context: PlanContext): Promise<Uint8Array> {
  const before = decodeFeedToken(request.cursor, 'GetListFeedRequest.cursor');
  const limit = Math.min(request.limit, feedLimitMax);
  const did = didOfUri(request.listUri);
  const slot = did === undefined ? -1 : slotOfDidText(did, context.fanOut.map.slots);
  if (slot < 0 || limit <= 0) return emptyAnswer;
  // One item more than the limit shows whether there is a next page.
  const feeds = await feedsOf(request.listUri, slot, { before, limit: limit + 1 }, context);
  const count = feeds.reduce((total, feed) => total + feed.count, 0);
  const parts = feeds.map((feed) => ({ feed, count: feed.count }));
  return mergedPage(parts, limit, count > limit ? fieldNumber.GetListFeedResponse.cursor : null);
}
