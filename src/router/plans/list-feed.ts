/**
 * The feed of a list: the newest posts of its members, merged from the nodes that hold them.
 *
 * Reposts are left out, as on the official data plane, and who opted out of a reference list. The
 * order and the page token are those of the timeline.
 */
import { encodeMessage } from '../../proto/codec.ts';
import type { GetListFeedRequest } from '../../proto/generated/bsky-service.ts';
import { encodePageToken } from '../../proto/page-token.ts';
import {
  encodeFollowsOf,
  type FollowPage,
  followsPageLimit,
  openFollowsOfAnswer,
} from '../../wire/follows-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { emptyAnswer, type PlanContext } from '../plan/plan.ts';
import { didOfUri, slotOfDidText } from '../plan/slot-finder.ts';
import { mergeFeeds } from './feed-merge.ts';
import { admitFollows, splitFollows } from './follows-pages.ts';
import { decodeFeedToken, feedLimitMax, newestOf } from './timeline.ts';

/** Of a list with more members, the first in the slot's order take part. */
const membersMax = 100_000;

async function membersOf(listUri: string, slot: number, context: PlanContext): Promise<FollowPage[]> {
  const { fanOut, deadlineMs } = context;
  const pages: FollowPage[] = [];
  let after = '';
  let count = 0;
  do {
    const payload = encodeFollowsOf({ did: listUri, after, limit: followsPageLimit });
    const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.membersOf, payload, deadlineMs);
    const page = openFollowsOfAnswer(answer);
    pages.push(page);
    count += page.count;
    admitFollows(page.count, context);
    after = page.next;
  } while (after !== '' && count < membersMax);
  return pages;
}

/** Returns a GetListFeedResponse. Errors: DataPlaneError `InvalidArgument` for a bad cursor. */
export async function listFeedOf(request: GetListFeedRequest, context: PlanContext): Promise<Uint8Array> {
  const before = decodeFeedToken(request.cursor, 'GetListFeedRequest.cursor');
  const limit = Math.min(request.limit, feedLimitMax);
  const did = didOfUri(request.listUri);
  const slot = did === undefined ? -1 : slotOfDidText(did, context.fanOut.map.slots);
  if (slot < 0 || limit <= 0) return emptyAnswer;
  const members = splitFollows(await membersOf(request.listUri, slot, context), '', context);
  // One item more than the limit shows whether there is a next page.
  const feeds = await newestOf(nodeCalls.newestPosts, members, { before, limit: limit + 1 }, context);
  const count = feeds.reduce((total, feed) => total + feed.count, 0);
  const parts = feeds.map((feed) => ({ feed, count: feed.count }));
  const { fields, last } = mergeFeeds(parts, limit);
  if (count <= limit || last === null) return fields;
  const cursor = encodePageToken(last.sortMs, Buffer.from(last.itemUri));
  return Buffer.concat([fields, encodeMessage('GetListFeedResponse', { items: [], cursor })]);
}
