/**
 * What a request counts in admission before the keys that it names, each of which counts as one.
 *
 * Units: items. An item is about as much as a record by its URI, some microseconds of a node. A
 * weight is between what a request usually costs and what it costs at most when strangers arranged
 * what it reads, so that requests which cost more than they look are refused before they pile up.
 */
import type { MethodName } from '../../proto/generated/bsky-service.ts';

/** The page methods read up to some thousand rows for a page. */
const page = 10;

/** At most 20 ms of each node. */
const search = 20 * page;

/** Methods that are not listed weigh 1. */
export const weightByMethod: ReadonlyMap<MethodName, number> = new Map<MethodName, number>([
  ['GetFollows', page],
  ['GetFollowers', page],
  ['GetBlocks', page],
  ['GetMutes', page],
  ['GetListMembers', page],
  ['GetListFeed', page],
  ['GetActorLikes', page],
  ['GetActorReposts', page],
  ['GetLikesBySubject', page],
  ['GetLikesBySubjectSorted', page],
  ['GetRepostsBySubject', page],
  ['GetQuotesBySubjectSorted', page],
  ['GetAuthorFeed', page],
  ['GetActorFeeds', page],
  ['GetActorLists', page],
  ['GetActorStarterPacks', page],
  ['GetVerificationsIssued', page],
  ['GetVerificationsReceived', page],
  ['GetNotifications', page],
  ['GetFollowsFollowing', page],
  ['GetKnownLikers', page],
  ['GetSuggestedFeeds', page],
  ['GetSuggestedEntities', page],
  ['GetFollowSuggestions', page],
  ['GetSitemapIndex', page],
  ['GetSiteStandardRecordsByURI', page],
  ['GetSiteStandardRecordsByRef', page],
  ['GetTimeline', page],
  ['GetThread', page],
  ['SearchActorsTypeahead', page],
  ['GetSitemapPage', 5 * page],
  ['SearchActors', 5 * page],
  ['SearchActorsV2', 5 * page],
  ['SearchFeedGenerators', 5 * page],
  ['SearchFeedGeneratorsV2', 5 * page],
  ['SearchStarterPacks', 5 * page],
  ['SearchStarterPacksV2', 5 * page],
  ['SearchPosts', search],
  ['SearchPostsV2', search],
]);

/** Returns what a request counts besides its keys. */
export function weightOf(method: MethodName): number {
  return weightByMethod.get(method) ?? 1;
}

/** A thread's further weight, by the levels asked for: most posts of a thread are near its root. */
const threadWeight = { levelsAbovePerItem: 20, levelsAboveMax: 1_000, itemsBelow: 100 } as const;

/** Returns what GetThread counts by its limits, besides its weight. */
export function weightOfLevels(above: number, below: number): number {
  const { levelsAbovePerItem, levelsAboveMax, itemsBelow } = threadWeight;
  return Math.ceil(Math.min(above, levelsAboveMax) / levelsAbovePerItem) + (below > 0 ? itemsBelow : 0);
}

/** Followed DIDs are forwarded, not answered, and looked at in a set or an array of times. */
export const followsPerItem = 20;
/** Of relationships and blocks: lists of subscribers, times those whom they concern. */
export const looksPerItem = 100;
/** Of GetFollowsFollowing: followed DIDs times targets. */
export const pairsPerItem = 100;
/** Each post of GetPostRecords with `includeOpThreadMetadata`: its root, and that one's thread. */
export const opThreadItems = 5;
/** A further part of an answer at most, which the router holds until all are there. */
export const itemsPerPart = 500;
/** For each key that is left: those before it used up a node's turn of 2 ms. */
const itemsPerItemLeft = 20;

/** Returns what a further part of a by-item answer counts, of which so many items are left. */
export function weightOfPart(itemsLeft: number): number {
  return Math.min(itemsPerPart, itemsPerItemLeft * itemsLeft);
}
