/** Rows of the oracle's table: feeds, timelines, threads and notifications. */

import { comparableItems } from './apply-differences.ts';
import { type Facts, urisOf } from './facts.ts';
import { FeedType } from './feed-type.ts';
import { type Answer, listOf, type MethodRow, type Paging } from './method-row.ts';
import { sortTies } from './sort-ties.ts';

const postCollection = 'app.bsky.feed.post';

/** A feed item is sorted by the time of its repost, else of its post. */
const feedPaging: Paging = {
  field: 'items',
  sortUri: (item) => String((item as Answer)['repost'] ?? (item as Answer)['uri']),
  compare: 'whole',
};

/** What follows on the last item may be notices that gates or mutes hide. */
const noticePaging: Paging = {
  field: 'notifications',
  sortUri: (item) => String((item as Answer)['uri']),
  compare: 'whole',
  mayEndEmpty: true,
};

function eachActor(facts: Facts): readonly { readonly actorDid: string }[] {
  return [...facts.dids, ...facts.unknownDids, ''].map((actorDid) => ({ actorDid }));
}

function authorFeed(variant: string, feedType: number): MethodRow {
  return {
    method: 'getAuthorFeed',
    variant,
    requests: (facts) => eachActor(facts).map((request) => ({ ...request, feedType })),
    paging: feedPaging,
    isFilled: (answer) => listOf(answer, 'items').length > 0,
  };
}

function everyThird(uris: readonly string[]): readonly string[] {
  return uris.filter((_uri, index) => index % 3 === 0);
}

const thread = { method: 'getThread', requests: () => [], isFilled: () => true } satisfies MethodRow;

function sortThread(answer: Answer, facts: Facts): unknown {
  const uris = sortTies(
    comparableItems(thread, listOf(answer, 'uris'), facts),
    (uri) => facts.sortedAtMsByUri.get(String(uri)),
    String,
  );
  return { ...answer, uris };
}

/** Feeds, timelines, threads and notifications. */
export const feedMethods: readonly MethodRow[] = [
  ...Object.entries(FeedType).map(([name, number]) => authorFeed(name, number)),
  {
    method: 'getTimeline',
    requests: eachActor,
    paging: { ...feedPaging, compare: 'same limit' },
    isFilled: (answer) => listOf(answer, 'items').length > 0,
  },
  {
    method: 'getThread',
    variant: 'whole',
    requests: (facts) =>
      [...urisOf(facts, postCollection), ...facts.goneUris].map((postUri) => ({ postUri, above: 80, below: 50 })),
    normalise: sortThread,
    isFilled: (answer) => listOf(answer, 'uris').length > 1,
  },
  {
    method: 'getThread',
    variant: 'near',
    requests: (facts) =>
      everyThird(urisOf(facts, postCollection)).flatMap((postUri) => [
        { postUri, above: 0, below: 0 },
        { postUri, above: 1, below: 1 },
        { postUri, above: 3, below: 2 },
      ]),
    normalise: sortThread,
    isFilled: (answer) => listOf(answer, 'uris').length > 1,
  },
  {
    method: 'getNotifications',
    requests: eachActor,
    paging: noticePaging,
    isFilled: (answer) => listOf(answer, 'notifications').length > 0,
  },
  {
    method: 'getNotifications',
    variant: 'priority',
    requests: (facts) => eachActor(facts).map((request) => ({ ...request, priority: true })),
    paging: noticePaging,
    isFilled: (answer) => listOf(answer, 'notifications').length > 0,
  },
];
