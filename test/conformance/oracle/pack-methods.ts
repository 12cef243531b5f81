/** Rows of the oracle's table: feed generators, starter packs, known likers. */
import { type Facts, urisOf } from './facts.ts';
import { batches, listOf, type MethodName, type MethodRow, someOf } from './method-row.ts';

const viewerSample = 12;
const subjectSample = 60;

function byActor(method: MethodName): MethodRow {
  return {
    method,
    requests: (facts: Facts) => [...facts.dids, ...facts.unknownDids, ''].map((actorDid) => ({ actorDid })),
    paging: { field: 'uris', sortUri: String, compare: 'whole' },
    isFilled: (answer) => listOf(answer, 'uris').length > 0,
    // Not every network has feed generators or starter packs.
    mayBeEmpty: 'always',
  };
}

/** Feed generators, starter packs, known likers. */
export const packMethods: readonly MethodRow[] = [
  byActor('getActorFeeds'),
  byActor('getActorStarterPacks'),
  {
    method: 'getStarterPackCounts',
    requests: (facts) =>
      batches(urisOf(facts, 'app.bsky.graph.starterpack'), facts.goneUris).map((uris) => ({
        refs: uris.map((uri) => ({ uri })),
      })),
    isFilled: someOf('joinedAllTime'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getKnownLikers',
    requests: (facts) =>
      [...facts.dids.slice(0, viewerSample), ...facts.unknownDids].flatMap((actorDid) =>
        batches(urisOf(facts, 'app.bsky.feed.post').slice(0, subjectSample), facts.goneUris)
          // With a smaller limit, likes of one millisecond would be shown or not in any order.
          .map((subjectUris, index) => ({ actorDid, subjectUris, limit: index === 1 ? 0 : 50 })),
      ),
    isFilled: (answer) => JSON.stringify(answer).includes('"count"'),
    mayBeEmpty: 'always',
  },
];
