/** Rows of the oracle's table: actors, identity, counts, private state and takedowns. */
import { type Facts, urisOf } from './facts.ts';
import { type Answer, batches, listOf, type MethodRow, type Request, someOf } from './method-row.ts';

const postCollection = 'app.bsky.feed.post';
const subjectSample = 12;
const labelledSample = 400;
const issuerSample = 6;
const perCollectionSample = 5;

function eachDid(facts: Facts): readonly { readonly actorDid: string }[] {
  return [...facts.dids, ...facts.unknownDids, ''].map((actorDid) => ({ actorDid }));
}

function oneAge(did: string): Request {
  return { dids: [did], returnAgeAssuranceForDids: [did] };
}

function isAgeKnown(actor: unknown): boolean {
  const { status = 'unknown' } = ((actor as Answer)['ageAssuranceStatus'] ?? {}) as Answer;
  return status !== 'unknown';
}

/** Actors, identity, counts, notification-seen, takedowns, labels and Ping. */
export const actorMethods: readonly MethodRow[] = [
  {
    method: 'getActors',
    requests: (facts) => [
      ...batches(facts.dids, facts.unknownDids).map((dids) => ({ dids })),
      { dids: facts.dids.slice(0, 4), returnAgeAssuranceForDids: facts.dids.slice(1, 3) },
    ],
    isFilled: (answer) => listOf(answer, 'actors').some((actor) => (actor as Answer)['exists'] === true),
  },
  {
    method: 'getActors',
    variant: 'with age assurance',
    requests: ({ dids }) => [{ dids, returnAgeAssuranceForDids: dids }, ...dids.map((did) => oneAge(did))],
    isFilled: (answer) => listOf(answer, 'actors').some(isAgeKnown),
  },
  {
    method: 'getDidsByHandles',
    requests: (facts) => batches(facts.handles, ['nobody.test', 'handle.invalid', '']).map((handles) => ({ handles })),
    isFilled: someOf('dids'),
  },
  {
    method: 'getIdentityByDid',
    requests: (facts) => [...facts.dids, ...facts.unknownDids.slice(0, 1)].map((did) => ({ did })),
    isFilled: (answer) => 'handle' in answer,
  },
  {
    method: 'getIdentityByHandle',
    requests: (facts) => [...facts.handles, 'nobody.test'].map((handle) => ({ handle })),
    isFilled: (answer) => 'did' in answer,
  },
  {
    method: 'getCountsForUsers',
    requests: (facts) => batches(facts.dids, facts.unknownDids).map((dids) => ({ dids })),
    isFilled: someOf('followers'),
  },
  {
    method: 'getInteractionCounts',
    requests: (facts) =>
      batches([...urisOf(facts, postCollection), ...facts.goneUris], facts.goneUris).map((uris) => ({
        refs: uris.map((uri) => ({ uri })),
      })),
    isFilled: someOf('likes'),
  },
  { method: 'getLatestRev', requests: eachDid, isFilled: (answer) => 'rev' in answer },
  {
    method: 'getNotificationSeen',
    requests: eachDid,
    isFilled: (answer) => 'timestamp' in answer,
    mayBeEmpty: 'before private writes',
  },
  { method: 'getUnreadNotificationCount', requests: eachDid, isFilled: (answer) => 'count' in answer },
  {
    method: 'getActorTakedown',
    requests: (facts) => [...facts.dids, ...facts.unknownDids].map((did) => ({ did })),
    isFilled: (answer) => answer['takenDown'] === true,
    mayBeEmpty: 'before private writes',
  },
  {
    method: 'getRecordTakedown',
    requests: (facts) => {
      const takenDown = [...facts.standing.keys()].filter((subject) => subject.startsWith('at://'));
      const others = [...facts.urisByCollection.values()].flatMap((uris) => uris.slice(0, perCollectionSample));
      const uris = new Set([...urisOf(facts, postCollection), ...facts.goneUris, ...takenDown, ...others]);
      return [...uris].map((recordUri) => ({ recordUri }));
    },
    isFilled: (answer) => answer['takenDown'] === true,
    mayBeEmpty: 'before private writes',
  },
  {
    method: 'getBlobTakedown',
    requests: (facts) => [...facts.takenDownBlobs, ...facts.blobs.slice(0, subjectSample)],
    isFilled: (answer) => answer['takenDown'] === true,
    mayBeEmpty: 'before private writes',
  },
  {
    method: 'getLabels',
    requests: (facts) => {
      const others = [...facts.unknownDids, ...facts.goneUris, 'nonsense'];
      const some = batches([...facts.dids, ...urisOf(facts, postCollection).slice(0, subjectSample)], others);
      const all = batches([...facts.dids, ...facts.recordByUri.keys()].slice(0, labelledSample), others);
      const labelers = ['did:example:labeler', ...facts.dids.slice(0, issuerSample)];
      return [
        ...some.flatMap((subjects) => [[], ['did:example:labeler']].map((issuers) => ({ subjects, issuers }))),
        ...all.map((subjects) => ({ subjects, issuers: labelers })),
      ];
    },
    isFilled: (answer) => listOf(answer, 'labels').length > 0,
  },
  { method: 'ping', requests: () => [{}], isFilled: () => true },
];
