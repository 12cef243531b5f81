/** Rows of the oracle's table: records by AT-URI. */
import { type Facts, urisOf } from './facts.ts';
import { type Answer, batches, listOf, type MethodName, type MethodRow, type Request } from './method-row.ts';

const collectionByMethod: Partial<Record<MethodName, string>> = {
  getBlockRecords: 'app.bsky.graph.block',
  getFeedGeneratorRecords: 'app.bsky.feed.generator',
  getFollowRecords: 'app.bsky.graph.follow',
  getLikeRecords: 'app.bsky.feed.like',
  getListBlockRecords: 'app.bsky.graph.listblock',
  getListItemRecords: 'app.bsky.graph.listitem',
  getListRecords: 'app.bsky.graph.list',
  getProfileRecords: 'app.bsky.actor.profile',
  getRepostRecords: 'app.bsky.feed.repost',
  getThreadGateRecords: 'app.bsky.feed.threadgate',
  getPostgateRecords: 'app.bsky.feed.postgate',
  getLabelerRecords: 'app.bsky.labeler.service',
  getActorChatDeclarationRecords: 'chat.bsky.actor.declaration',
  getNotificationDeclarationRecords: 'app.bsky.notification.declaration',
  getGermDeclarationRecords: 'com.germnetwork.declaration',
  getStarterPackRecords: 'app.bsky.graph.starterpack',
  getVerificationRecords: 'app.bsky.graph.verification',
  getStatusRecords: 'app.bsky.actor.status',
};
const postCollection = 'app.bsky.feed.post';
const malformedUris = ['nonsense', 'at://', 'https://example.com/'];

/** Every `Get…Records`. */
export const recordMethods: readonly MethodRow[] = [
  ...Object.entries(collectionByMethod).map(([method, collection]) => recordRow(method as MethodName, collection)),
  { ...recordRow('getPostRecords', postCollection), variant: 'posts' },
  {
    method: 'getPostRecords',
    variant: 'with OP threads',
    requests: (facts) =>
      batches(urisOf(facts, postCollection), facts.goneUris).map((uris) => ({ uris, includeOpThreadMetadata: true })),
    isFilled: (answer) => listOf(answer, 'opThreads').length > 0,
  },
];

function recordRow(method: MethodName, collection: string): MethodRow {
  return {
    method,
    requests: (facts) => [
      ...batches(urisOf(facts, collection), facts.goneUris).map((uris) => ({ uris })),
      ...otherCollections(facts, collection),
      ...malformedUris.map((uri) => ({ uris: [uri] })),
    ],
    isFilled: (answer) => listOf(answer, 'records').some((record) => (record as Answer)['record'] !== null),
  };
}

/** URIs of another collection are answered as missing records. */
function otherCollections(facts: Facts, collection: string): readonly Request[] {
  const others = [...facts.urisByCollection].filter(([name]) => name !== collection);
  return others.slice(0, 3).map(([, uris]) => ({ uris: uris.slice(0, 2) }));
}
