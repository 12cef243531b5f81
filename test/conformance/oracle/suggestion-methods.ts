/** Rows of the oracle's table: suggestions, known likers, labelers, verifications and the site. */
import { Timestamp } from '@bufbuild/protobuf';
import { type Facts, urisOf, type VerificationRow } from './facts.ts';
import {
  type Answer,
  anyIn,
  batches,
  eachActor,
  listOf,
  type MethodRow,
  type Paging,
  type Request,
} from './method-row.ts';

const dayMs = 86_400_000;

function timestamp(ms: number): Timestamp {
  return Timestamp.fromDate(new Date(ms));
}

/** As protobuf's JSON form has it. */
function protobufTime(iso: string): string {
  return new Date(iso).toISOString().replace('.000Z', 'Z');
}

/** A verification as both methods list it. */
function verification({ creator, rkey, subject, createdAt, indexedAt, sortedAt }: VerificationRow): Answer {
  return {
    actorDid: creator,
    rkey,
    subjectDid: subject,
    createdAt: protobufTime(createdAt),
    indexedAt: protobufTime(indexedAt),
    sortedAt: protobufTime(sortedAt),
  };
}

const verificationPaging: Paging = {
  field: 'verifications',
  sortUri: (item) => {
    const { actorDid, rkey } = item as Answer;
    return `at://${actorDid}/app.bsky.graph.verification/${rkey}`;
  },
  compare: 'whole',
};

function eachSubject(facts: Facts): readonly Request[] {
  return eachActor(facts).map(({ actorDid }) => ({ subjectDid: actorDid }));
}

/** Suggestions name actors of all networks; those of this one are compared. */
function ofThese(field: string): (answer: Answer, facts: Facts) => readonly unknown[] {
  return (answer, facts) =>
    listOf(answer, field).filter((item) => facts.dids.some((did) => JSON.stringify(item).includes(did)));
}

function sorted(items: readonly unknown[]): readonly string[] {
  return items.map((item) => JSON.stringify(item)).toSorted();
}

/** What actors are shown of others. */
export const suggestionMethods: readonly MethodRow[] = [
  {
    method: 'getFollowSuggestions',
    variant: 'relative to an actor',
    requests: (facts) => {
      const dids = [...facts.dids, facts.unknownDids[0]!];
      return dids.flatMap((actorDid) => dids.map((relativeToDid) => ({ actorDid, relativeToDid, limit: 10 })));
    },
    // Actors liked or followed as often are in any order.
    normalise: (answer, facts) => sorted(ofThese('dids')(answer, facts)),
    isFilled: anyIn('dids'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getSuggestedFeeds',
    requests: () => [{ limit: 50 }, { limit: 1 }],
    normalise: ofThese('uris'),
    isFilled: anyIn('uris'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getSuggestedEntities',
    requests: () => [{}],
    normalise: (answer, facts) => sorted(ofThese('entities')(answer, facts)),
    isFilled: anyIn('entities'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getVerificationsIssued',
    requests: eachActor,
    promised: (facts, { actorDid }) => ({
      verifications: facts.verifications.filter(({ creator }) => creator === actorDid).map(verification),
    }),
    paging: verificationPaging,
    isFilled: anyIn('verifications'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getVerificationsReceived',
    requests: eachSubject,
    promised: (facts, { subjectDid }) => ({
      verifications: facts.verifications.filter(({ subject }) => subject === subjectDid).map(verification),
    }),
    paging: verificationPaging,
    isFilled: anyIn('verifications'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getAllLabelers',
    requests: () => [{}],
    promised: (facts) => ({
      uris: urisOf(facts, 'app.bsky.labeler.service'),
    }),
    normalise: (answer, facts) => sorted(ofThese('uris')(answer, facts)),
    isFilled: anyIn('uris'),
    mayBeEmpty: 'always',
  },
  {
    method: 'getFeedGeneratorStatus',
    requests: (facts) => batches(urisOf(facts, 'app.bsky.feed.generator'), []).map((uris) => ({ uris })),
    promised: (_facts, { uris }) => ({ count: (uris as readonly string[]).length }),
    // Which words an operator's feeds get is ours to say; each asked feed gets one.
    normalise: (answer) => ({ count: answer['count'] ?? listOf(answer, 'status').length }),
    isFilled: (answer) => Number(answer['count']) > 0,
    mayBeEmpty: 'always',
  },
  {
    method: 'getNewUserCountForRange',
    // Actors are counted by periods, so the end is past the current one.
    requests: () => [{ start: timestamp(0), end: timestamp(Date.now() + dayMs) }, {}],
    // Whom an operator counts depends on the whole network; here only that it counts.
    promised: () => ({ isCounted: true }),
    normalise: (answer) => answer['isCounted'] ?? Number(answer['count'] ?? 0) > 0,
    isFilled: (answer) => answer['isCounted'] === true,
    mayBeEmpty: 'always',
  },
  {
    method: 'getSitemapIndex',
    requests: () => [{ type: 1 }],
    promised: () => ({ hasSitemap: true }),
    normalise: (answer) => ({ hasSitemap: answer['hasSitemap'] ?? 'sitemap' in answer }),
    isFilled: () => true,
  },
  {
    method: 'getSitemapPage',
    requests: () => [{ type: 1, date: timestamp(0), bucket: 1 }, {}],
    isFilled: () => false,
    mayBeEmpty: 'always',
  },
  {
    method: 'getSiteStandardRecordsByURI',
    requests: () => [{ uris: [] }],
    promised: () => ({}),
    isFilled: () => false,
    mayBeEmpty: 'always',
  },
  {
    method: 'getSiteStandardRecordsByRef',
    requests: () => [{ refs: [] }],
    promised: () => ({}),
    isFilled: () => false,
    mayBeEmpty: 'always',
  },
];
