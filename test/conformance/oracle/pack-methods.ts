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
  };
}

/** Posts, those that are liked first. */
function likedFirst(facts: Facts): readonly string[] {
  const posts = urisOf(facts, 'app.bsky.feed.post');
  const liked = new Set(urisOf(facts, 'app.bsky.feed.like').map((uri) => subjectOf(facts, uri)));
  return [...posts.filter((uri) => liked.has(uri)), ...posts.filter((uri) => !liked.has(uri))];
}

function subjectOf({ recordByUri }: Facts, likeUri: string): string {
  const { subject } = JSON.parse(recordByUri.get(likeUri)!.json) as { readonly subject: { readonly uri: string } };
  return subject.uri;
}

/** Some actors, those who follow anybody first. */
function viewers(facts: Facts): readonly string[] {
  const followers = urisOf(facts, 'app.bsky.graph.follow').map((uri) => uri.split('/')[2]!);
  return [...new Set([...followers, ...facts.dids])].slice(0, viewerSample);
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
  },
  {
    method: 'getKnownLikers',
    requests: (facts) =>
      [...viewers(facts), ...facts.unknownDids].flatMap((actorDid) =>
        batches(likedFirst(facts).slice(0, subjectSample), facts.goneUris)
          // With a smaller limit, likes of one millisecond would be shown or not in any order.
          .map((subjectUris, index) => ({ actorDid, subjectUris, limit: index === 1 ? 0 : 50 })),
      ),
    isFilled: (answer) => JSON.stringify(answer).includes('"count"'),
  },
];
