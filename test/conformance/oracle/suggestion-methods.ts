/** Rows of the oracle's table: suggestions, known likers, labelers, verifications and the site. */
import { Timestamp } from '@bufbuild/protobuf';
import { type Facts, type SiteRecord, urisOf, type VerificationRow } from './facts.ts';
import {
  type Answer,
  anyIn,
  batches,
  eachActor,
  listOf,
  type MethodRow,
  type Paging,
  pairedActors,
  type Request,
  someOf,
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

function sorted(items: readonly unknown[]): readonly string[] {
  return items.map((item) => JSON.stringify(item)).toSorted();
}

/** What our operators are told of a feed; a takedown hides what its account says. */
function statusOfFeed({ standing, recordByUri }: Facts, uri: string): string {
  if (!recordByUri.has(uri) || !uri.includes('/app.bsky.feed.generator/')) return '';
  return standing.get(uri) ?? standing.get(uri.split('/')[2]!) ?? 'active';
}

const documentCollection = 'site.standard.document';
const publicationCollection = 'site.standard.publication';

function siteUris(facts: Facts): readonly string[] {
  return facts.siteRecords.map(({ uri }) => uri);
}

/** Each once, in the order asked. */
function siteRecordsOf(facts: Facts, collection: string, uris: readonly string[]): readonly SiteRecord[] {
  return [...new Set(uris)].flatMap((uri) =>
    facts.siteRecords.filter((record) => record.uri === uri && uri.includes(`/${collection}/`)),
  );
}

function siteAnswer(documents: readonly SiteRecord[], publications: readonly SiteRecord[]): Answer {
  const shown = ({ uri, cid, record }: SiteRecord): Answer => ({ ref: { uri, cid }, record: { record } });
  return { documents: documents.map(shown), publications: publications.map(shown) };
}

/** When they were indexed only our plane knows. */
function withoutTimesOfSites(answer: Answer): unknown {
  return ['documents', 'publications'].map((field) =>
    listOf(answer, field).map((item) => {
      const { ref, record } = item as { readonly ref: unknown; readonly record: Answer };
      return { ref, record: record['record'] };
    }),
  );
}

/** What actors are shown of others. */
export const suggestionMethods: readonly MethodRow[] = [
  {
    method: 'getFollowSuggestions',
    variant: 'relative to an actor',
    requests: (facts) => {
      const dids = [...pairedActors(facts), facts.unknownDids[0]!];
      return dids.flatMap((actorDid) => dids.map((relativeToDid) => ({ actorDid, relativeToDid, limit: 10 })));
    },
    isFilled: anyIn('dids'),
  },
  {
    method: 'getFollowSuggestions',
    variant: 'of operators',
    requests: (facts) => eachActor(facts).flatMap((actor) => [0, 100].map((limit) => ({ ...actor, limit }))),
    isFilled: anyIn('dids'),
  },
  {
    method: 'getSuggestedFeeds',
    requests: (facts) => [...facts.dids.slice(0, 2), ''].map((actorDid) => ({ actorDid })),
    paging: { field: 'uris', sortUri: () => '', compare: 'whole' },
    isFilled: anyIn('uris'),
  },
  {
    method: 'getSuggestedEntities',
    requests: () => [{}],
    isFilled: anyIn('entities'),
  },
  {
    method: 'getVerificationsIssued',
    requests: eachActor,
    promised: (facts, { actorDid }) => ({
      verifications: facts.verifications.filter(({ creator }) => creator === actorDid).map(verification),
    }),
    paging: verificationPaging,
    isFilled: anyIn('verifications'),
  },
  {
    method: 'getVerificationsReceived',
    requests: eachSubject,
    promised: (facts, { subjectDid }) => ({
      verifications: facts.verifications.filter(({ subject }) => subject === subjectDid).map(verification),
    }),
    paging: verificationPaging,
    isFilled: anyIn('verifications'),
  },
  {
    method: 'getAllLabelers',
    requests: () => [{}],
    promised: (facts) => ({ uris: urisOf(facts, 'app.bsky.labeler.service') }),
    // Those of the whole network are listed.
    normalise: (answer, facts) =>
      sorted(listOf(answer, 'uris').filter((uri) => facts.dids.includes(String(uri).split('/')[2]!))),
    isFilled: anyIn('uris'),
  },
  {
    method: 'getFeedGeneratorStatus',
    requests: (facts) => batches(urisOf(facts, 'app.bsky.feed.generator'), facts.goneUris).map((uris) => ({ uris })),
    promised: (facts, { uris }) => ({ status: (uris as readonly string[]).map((uri) => statusOfFeed(facts, uri)) }),
    normalise: (answer) => listOf(answer, 'status'),
    isFilled: someOf('status'),
  },
  {
    method: 'getNewUserCountForRange',
    requests: () => [
      // Actors are counted by periods, so the end is past the current one.
      { start: timestamp(0), end: timestamp(Date.now() + dayMs) },
      {},
      { start: timestamp(Date.now() + dayMs) },
      { start: timestamp(0), end: timestamp(dayMs) },
    ],
    promised: (facts, { end, start }) => {
      const isNever = end === undefined ? start !== undefined : (end as Timestamp).toDate().getTime() === dayMs;
      return { isCounted: isNever ? 0 : facts.actorCount };
    },
    // Those of deleted accounts are counted, too.
    normalise: (answer, { actorCount }) => answer['isCounted'] ?? Math.min(Number(answer['count'] ?? 0), actorCount),
    isFilled: (answer) => answer['isCounted'] !== 0,
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
    // Pages are of slots, which the official plane lacks, so only those of none are compared.
    isFilled: () => false,
    mayBeEmpty: 'always',
  },
  {
    method: 'getSiteStandardRecordsByURI',
    requests: (facts) => batches(siteUris(facts), facts.goneUris).map((uris) => ({ uris })),
    promised: (facts, { uris }) => {
      const documents = siteRecordsOf(facts, documentCollection, uris as readonly string[]);
      const sites = documents.map(({ record }) => String((record as Answer)['site']));
      const publications = siteRecordsOf(facts, publicationCollection, [...(uris as readonly string[]), ...sites]);
      return siteAnswer(documents, publications);
    },
    normalise: withoutTimesOfSites,
    isFilled: anyIn('documents'),
  },
  {
    method: 'getSiteStandardRecordsByRef',
    requests: (facts) => {
      const refs = facts.siteRecords.map(({ uri, cid }) => ({ uri, cid }));
      const stale = facts.siteRecords.slice(0, 2).map(({ uri }) => ({ uri, cid: 'bafyreistale' }));
      return [{ refs: [] }, { refs }, { refs: [...stale, ...refs, ...refs] }, { refs: stale }];
    },
    promised: (facts, { refs }) => {
      const isKnown = ({ uri, cid }: Answer): boolean =>
        facts.siteRecords.some((record) => record.uri === uri && record.cid === cid);
      const uris = (refs as readonly Answer[]).filter(isKnown).map(({ uri }) => String(uri));
      const documents = siteRecordsOf(facts, documentCollection, uris);
      return siteAnswer(documents, siteRecordsOf(facts, publicationCollection, uris));
    },
    normalise: withoutTimesOfSites,
    isFilled: anyIn('documents'),
  },
];
