/** Rows of the oracle's table: follows, likes, reposts, quotes, blocks and relationships. */
import { type Facts, urisOf } from './facts.ts';
import {
  type Answer,
  batches,
  listOf,
  type MethodName,
  type MethodRow,
  type Paging,
  type Request,
  someOf,
} from './method-row.ts';

const postCollection = 'app.bsky.feed.post';
const viewerSample = 8;

function uriItems(field: string): Paging {
  return {
    field,
    sortUri: (item) => (typeof item === 'string' ? item : String((item as Answer)['uri'])),
    compare: 'whole',
  };
}

function byActor(method: MethodName, field: string): MethodRow {
  return {
    method,
    requests: (facts) => [...facts.dids, ...facts.unknownDids, ''].map((actorDid) => ({ actorDid })),
    paging: uriItems(field),
    isFilled: (answer) => listOf(answer, field).length > 0,
  };
}

function bySubject(method: MethodName): MethodRow {
  return {
    method,
    requests: (facts) => [
      ...[...urisOf(facts, postCollection), ...facts.goneUris].map((uri) => ({ subject: { uri } })),
      // Likes of records other than posts.
      ...[...urisOf(facts, 'app.bsky.feed.like').slice(0, 30)].map((uri) => ({ subject: { uri } })),
      { subject: { uri: '' } },
      {},
    ],
    paging: uriItems('uris'),
    isFilled: (answer) => listOf(answer, 'uris').length > 0,
  };
}

function byActorAndSubjects(method: MethodName): MethodRow {
  return {
    method,
    requests: (facts) =>
      viewers(facts).flatMap((actorDid) =>
        batches(urisOf(facts, postCollection), facts.goneUris).map((uris) => ({
          actorDid,
          refs: uris.map((uri) => ({ uri })),
        })),
      ),
    isFilled: someOf('uris'),
  };
}

/** Actors with the most records, actors that block by list, and an unknown DID. */
function viewers(facts: Facts): readonly string[] {
  const byList = authorsOf(facts, 'app.bsky.graph.listblock');
  return [...new Set([...facts.dids.slice(0, viewerSample), ...byList]), facts.unknownDids[0]!];
}

function authorsOf(facts: Facts, collection: string): readonly string[] {
  return [...new Set(urisOf(facts, collection).map((uri) => uri.split('/')[2]!))];
}

function viewersAndTargets(facts: Facts): readonly Request[] {
  return viewers(facts).flatMap((actorDid) =>
    batches(facts.dids, facts.unknownDids).map((targetDids) => ({ actorDid, targetDids })),
  );
}

/** Pairs of blockers and some others with all actors, in two batches, none both ways in one. */
function pairs(facts: Facts): { readonly a: string; readonly b: string }[][] {
  const blockers = [...authorsOf(facts, 'app.bsky.graph.block'), ...authorsOf(facts, 'app.bsky.graph.listblock')];
  const asking = [...new Set([...blockers, ...facts.dids.slice(0, viewerSample)])];
  const asked = [...new Set([...blockers, ...facts.dids])];
  const all = asked.flatMap((b) => asking.map((a) => ({ a, b })));
  return [all.filter(({ a, b }) => a < b), all.filter(({ a, b }) => a >= b)];
}

/** The social graph. */
export const graphMethods: readonly MethodRow[] = [
  byActor('getFollowers', 'followers'),
  byActor('getFollows', 'follows'),
  byActor('getActorLikes', 'likes'),
  byActor('getActorReposts', 'uris'),
  byActor('getBlocks', 'blockUris'),
  bySubject('getLikesBySubject'),
  bySubject('getLikesBySubjectSorted'),
  bySubject('getRepostsBySubject'),
  bySubject('getQuotesBySubjectSorted'),
  byActorAndSubjects('getLikesByActorAndSubjects'),
  byActorAndSubjects('getRepostsByActorAndSubjects'),
  { method: 'getActorFollowsActors', requests: viewersAndTargets, isFilled: someOf('uris') },
  {
    method: 'getRelationships',
    requests: viewersAndTargets,
    isFilled: (answer) => JSON.stringify(answer).includes('at://'),
  },
  {
    method: 'getFollowsFollowing',
    requests: viewersAndTargets,
    isFilled: (answer) => JSON.stringify(answer).includes('"dids"'),
  },
  {
    method: 'getBlockExistence',
    requests: (facts) => [
      { pairs: [] },
      ...[...pairs(facts), pairs(facts).flat()].map((batch) => ({ pairs: batch })),
      ...pairs(facts).flatMap((batch) => batch.slice(0, 60).map((pair) => ({ pairs: [pair] }))),
    ],
    isFilled: (answer) => listOf(answer, 'exists').includes(true),
  },
  {
    method: 'getBidirectionalBlock',
    requests: (facts) => pairs(facts).flatMap((batch) => batch.map(({ a, b }) => ({ actorDid: a, targetDid: b }))),
    isFilled: (answer) => 'blockUri' in answer,
  },
];
