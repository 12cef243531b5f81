/** Rows of the oracle's table: mutes, bookmarks, drafts, subscriptions and preferences. */
import { type Facts, urisOf } from './facts.ts';
import {
  anyIn,
  batches,
  eachActor,
  eachActorAndBatch,
  eachPair,
  listOf,
  type MethodRow,
  type Paging,
} from './method-row.ts';

const malformed = ['nonsense', ''] as const;
/** The order of private writes is theirs alone, so their items are never ties. */
const noRecord = '';

function inOrder(field: string): Paging {
  return { field, sortUri: () => noRecord, compare: 'whole' };
}

function posts(facts: Facts): readonly string[] {
  return urisOf(facts, 'app.bsky.feed.post');
}

/** What actors keep to themselves. */
export const privateMethods: readonly MethodRow[] = [
  {
    method: 'getActorMutesActor',
    requests: eachPair,
    isFilled: (answer) => Object.values(answer).includes(true),
  },
  {
    method: 'getMutes',
    requests: eachActor,
    paging: inOrder('mutes'),
    isFilled: anyIn('mutes'),
  },
  {
    method: 'getThreadMutesOnSubjects',
    requests: (facts) =>
      eachActorAndBatch(facts, posts(facts), [...facts.goneUris, ...malformed]).map(({ actorDid, batch }) => {
        return { actorDid, threadRoots: batch };
      }),
    isFilled: (answer) => listOf(answer, 'muted').includes(true),
  },
  {
    method: 'getActorBookmarks',
    requests: eachActor,
    paging: inOrder('bookmarks'),
    isFilled: anyIn('bookmarks'),
  },
  {
    method: 'getBookmarksByActorAndSubjects',
    requests: (facts) =>
      eachActorAndBatch(facts, posts(facts), [...facts.goneUris, ...malformed]).map(({ actorDid, batch }) => {
        return { actorDid, uris: batch };
      }),
    isFilled: (answer) => JSON.stringify(answer).includes('at://'),
  },
  {
    method: 'getActorDrafts',
    requests: eachActor,
    paging: inOrder('drafts'),
    isFilled: anyIn('drafts'),
  },
  {
    method: 'getActivitySubscriptionDids',
    requests: eachActor,
    paging: inOrder('dids'),
    isFilled: anyIn('dids'),
  },
  {
    method: 'getActivitySubscriptionsByActorAndSubjects',
    requests: (facts) =>
      eachActorAndBatch(facts, facts.dids, [...facts.unknownDids, ...malformed]).map(({ actorDid, batch }) => {
        return { actorDid, subjectDids: batch };
      }),
    isFilled: (answer) => JSON.stringify(answer).includes('"subjectDid"'),
  },
  {
    method: 'getNotificationPreferences',
    requests: (facts) => batches(facts.dids, [...facts.unknownDids, ...malformed]).map((dids) => ({ dids })),
    isFilled: (answer) => JSON.stringify(answer).includes('"entry"'),
  },
];
