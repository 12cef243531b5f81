/** The facts from which the oracle's requests are made, read from the official plane's tables. */
import { AtUri } from '@atproto/api';
import type { OfficialPlane } from '../network/official-plane.ts';
import { isAskedFor } from './apply-differences.ts';

/** What the official plane holds at one moment, the source of the oracle's requests. */
export interface Facts {
  /** All actors that the official plane has seen, those with the most records first. */
  readonly dids: readonly string[];
  /** Handles of active accounts; hosts need not answer for the others. */
  readonly handles: readonly string[];
  /** Accounts whose host does not confirm their handle. */
  readonly unconfirmedDids: ReadonlySet<string>;
  /** Well-formed DIDs of nobody. */
  readonly unknownDids: readonly string[];
  /** URIs of records that are gone or never existed. */
  readonly goneUris: readonly string[];
  /** All records, by collection. */
  readonly urisByCollection: ReadonlyMap<string, readonly string[]>;
  /** What each record holds. */
  readonly recordByUri: ReadonlyMap<string, StoredRow>;
  /** Records of `site.standard`, of which the official plane stores none. */
  readonly siteRecords: readonly SiteRecord[];
  /** What hides actors and records: `takendown`, or the status of an actor upstream. */
  readonly standing: ReadonlyMap<string, 'takendown' | string>;
  /** Follow suggestions whose order an operator has fixed, in this order. */
  readonly fixedSuggestions: readonly string[];
  /** Of the whole network. */
  readonly actorCount: number;
  /** Verifications, without duplicates, the newest first. */
  readonly verifications: readonly VerificationRow[];
  /** Sort time in feeds and lists, by record URI. Units: ms. */
  readonly sortedAtMsByUri: ReadonlyMap<string, number>;
  /** Replies whose root differs from that of their parent, and replies below them. */
  readonly foreignRootUris: ReadonlySet<string>;
  /** Replies that are older than a post above them, as it came late, was replaced or was gone. */
  readonly earlyReplyUris: ReadonlySet<string>;
  /** Records other than posts that were replaced, or created again under their key. */
  readonly updatedUris: ReadonlySet<string>;
  /** Former duplicates of a deleted record; the oldest has replaced it. */
  readonly promotedUris: ReadonlySet<string>;
  /** Actors whose notices intentionally differ between the planes. */
  readonly disputedDids: ReadonlySet<string>;
  /** Authors of posts above a reply that was written while one of them was gone. */
  readonly answeredWhenGone: ReadonlySet<string>;
  /** Of records that exist. */
  readonly blobs: readonly BlobRef[];
  /** Also of records that are gone. */
  readonly takenDownBlobs: readonly BlobRef[];
}

export type BlobRef = {
  readonly did: string;
  readonly cid: string;
};

/** A record as its PDS has it. */
export interface SiteRecord {
  readonly uri: string;
  readonly cid: string;
  readonly record: object;
}

/** A record as the official plane stores it. */
export interface StoredRow {
  readonly cid: string;
  readonly json: string;
  readonly indexedAt: string;
}

export interface VerificationRow {
  readonly uri: string;
  readonly rkey: string;
  readonly creator: string;
  readonly subject: string;
  readonly createdAt: string;
  readonly indexedAt: string;
  readonly sortedAt: string;
}

const unknownDids = ['did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', 'did:web:nobody.example'];
const unknownRkey = '3kzzzzzzzzzzz';

/** What the tables do not show of what was done, and on a network of many whose it was. */
export interface Scope {
  /** All actors when absent. */
  readonly dids?: readonly string[];
  readonly updatedUris?: ReadonlySet<string>;
  readonly siteRecords?: readonly SiteRecord[];
  readonly repliesBelowGone?: ReadonlySet<string>;
  readonly answeredWhenGone?: ReadonlySet<string>;
}

/**
 * Reads the facts from the tables of the official plane.
 *
 * Shape: `gone` holds URIs that the test deleted or made up; they are requested too.
 * `everPromoted` collects promoted duplicates of all rounds, which the official plane drops with
 * their account. `scope` limits actors and records to those of some accounts.
 */
export async function readFacts(
  official: OfficialPlane,
  gone: readonly string[],
  everPromoted: Set<string> = new Set(),
  scope: Scope = {},
): Promise<Facts> {
  const { dids, updatedUris = new Set(), siteRecords = [] } = scope;
  const { repliesBelowGone = new Set(), answeredWhenGone = new Set() } = scope;
  const records = await official.db.db
    .selectFrom('record')
    .select(['uri', 'cid', 'json', 'indexedAt', 'takedownRef'])
    .$if(dids !== undefined, (query) => query.where('did', 'in', [...dids!]))
    .orderBy('uri')
    .execute();
  const actors = await official.db.db
    .selectFrom('actor')
    .select(['did', 'handle', 'upstreamStatus', 'takedownRef'])
    .$if(dids !== undefined, (query) => query.where('did', 'in', [...dids!]))
    .orderBy('did')
    .execute();
  const urisByCollection = new Map<string, string[]>();
  const sortedAtMsByUri = new Map<string, number>();
  const recordByUri = new Map<string, StoredRow>();
  const recordCountByDid = new Map<string, number>();
  const blobs = new Map<string, BlobRef>();
  const standing = new Map<string, string>();
  for (const { did, upstreamStatus, takedownRef } of actors) {
    if (takedownRef !== null || upstreamStatus)
      standing.set(did, takedownRef === null ? String(upstreamStatus) : 'takendown');
  }
  for (const { uri, cid, json, indexedAt, takedownRef } of records) {
    if (takedownRef !== null) standing.set(uri, 'takendown');
    const { host, collection, rkey } = new AtUri(uri);
    if (!isAskedFor(collection, rkey)) continue;
    const uris = urisByCollection.get(collection) ?? [];
    uris.push(uri);
    urisByCollection.set(collection, uris);
    recordByUri.set(uri, { cid, json, indexedAt });
    sortedAtMsByUri.set(uri, sortedAtMs(json, indexedAt));
    recordCountByDid.set(host, (recordCountByDid.get(host) ?? 0) + 1);
    for (const match of json.matchAll(/"\$link":"([a-z0-9]+)"/g))
      blobs.set(`${host} ${match[1]}`, { did: host, cid: match[1]! });
  }
  const disputes = await readDisputes(official, everPromoted, updatedUris);
  const count = (did: string): number => recordCountByDid.get(did) ?? 0;
  return {
    dids: actors.map(({ did }) => did).sort((a, b) => count(b) - count(a)),
    handles: actors.flatMap(({ handle, upstreamStatus }) => (handle === null || upstreamStatus ? [] : [handle])),
    unconfirmedDids: new Set(actors.flatMap(({ did, handle }) => (handle === null ? [did] : []))),
    unknownDids,
    goneUris: [...gone, `at://${unknownDids[0]}/app.bsky.feed.post/${unknownRkey}`],
    urisByCollection,
    recordByUri,
    siteRecords,
    standing,
    fixedSuggestions: await readFixedSuggestions(official),
    actorCount: await countActors(official),
    verifications: await readVerifications(official),
    sortedAtMsByUri,
    updatedUris,
    ...disputes,
    earlyReplyUris: new Set([...disputes.earlyReplyUris, ...repliesBelowGone]),
    answeredWhenGone,
    blobs: [...blobs.values()],
    takenDownBlobs: await readTakenDownBlobs(official, dids),
  };
}

async function readTakenDownBlobs(
  { db }: OfficialPlane,
  dids: readonly string[] | undefined,
): Promise<readonly BlobRef[]> {
  const blobs = db.db.selectFrom('blob_takedown').select(['did', 'cid']);
  return await blobs.$if(dids !== undefined, (query) => query.where('did', 'in', [...dids!])).execute();
}

async function countActors({ db }: OfficialPlane): Promise<number> {
  const counted = db.db.selectFrom('actor').select((query) => query.fn.countAll().as('count'));
  return Number((await counted.executeTakeFirstOrThrow()).count);
}

async function readFixedSuggestions({ db }: OfficialPlane): Promise<readonly string[]> {
  const known = db.db.selectFrom('suggested_follow').innerJoin('actor', 'actor.did', 'suggested_follow.did');
  const first = known.where('suggested_follow.order', '<=', 2).orderBy('suggested_follow.order');
  return (await first.select('suggested_follow.did').execute()).map(({ did }) => did);
}

async function readVerifications({ db }: OfficialPlane): Promise<readonly VerificationRow[]> {
  const columns = ['uri', 'rkey', 'creator', 'subject', 'createdAt', 'indexedAt', 'sortedAt'] as const;
  const rows = db.db.selectFrom('verification').orderBy('sortedAt', 'desc').orderBy('cid', 'desc').select(columns);
  return await rows.execute();
}

/** Collections besides posts whose records notify somebody. */
const notifyingCollections: ReadonlySet<string> = new Set([
  'app.bsky.feed.like',
  'app.bsky.feed.repost',
  'app.bsky.graph.follow',
  'app.bsky.graph.verification',
  'app.bsky.actor.profile',
]);

type Disputes = Pick<Facts, 'foreignRootUris' | 'earlyReplyUris' | 'promotedUris' | 'disputedDids'>;

async function readDisputes(
  { db }: OfficialPlane,
  everPromoted: Set<string>,
  updatedUris: ReadonlySet<string>,
): Promise<Disputes> {
  const columns = ['uri', 'replyParent', 'replyRoot', 'invalidReplyRoot', 'indexedAt'] as const;
  const posts = await db.db.selectFrom('post').select(columns).execute();
  const foreignRootUris = new Set(posts.filter((post) => post.invalidReplyRoot === true).map(({ uri }) => uri));
  const records = await db.db.selectFrom('record').select(['uri', 'json']).execute();
  const existing = new Set(records.map(({ uri }) => uri));
  const duplicates = await db.db.selectFrom('duplicate_record').select(['uri', 'duplicateOf']).execute();
  for (const { uri, duplicateOf } of duplicates) if (!existing.has(duplicateOf)) everPromoted.add(uri);
  const above = postsAbove(posts);
  const rootOf = (post: Reply): readonly Reply[] => posts.filter(({ uri }) => uri === post.replyRoot);
  const isEarly = (post: Reply): boolean =>
    [...rootOf(post), ...above(post)].some(({ indexedAt }) => indexedAt > post.indexedAt);
  const earlyReplyUris = new Set(posts.filter(isEarly).map(({ uri }) => uri));
  const disputed = posts.filter(({ uri }) => foreignRootUris.has(uri) || earlyReplyUris.has(uri));
  const disputedDids = new Set(disputed.flatMap((post) => authorsNotified(above(post))));
  const notices = await db.db.selectFrom('notification').select(['did', 'recordUri']).execute();
  for (const { did, recordUri } of notices) {
    if (foreignRootUris.has(recordUri) || updatedUris.has(recordUri)) disputedDids.add(did);
  }
  for (const { uri, json } of records) {
    // An update notifies nobody there, also where it is the first to name its subject.
    const mayNotify = updatedUris.has(uri) && notifyingCollections.has(new AtUri(uri).collection);
    if (mayNotify) for (const [did] of json.matchAll(/did:[a-z]+:[\w.:%-]+/g)) disputedDids.add(did);
    if (!everPromoted.has(uri)) continue;
    const { subject } = JSON.parse(json) as { readonly subject: string | { readonly uri: string } };
    disputedDids.add(typeof subject === 'string' ? subject : new AtUri(subject.uri).host);
  }
  return { foreignRootUris, earlyReplyUris, promotedUris: everPromoted, disputedDids };
}

interface Reply {
  readonly uri: string;
  readonly replyParent: string | null;
  readonly replyRoot: string | null;
  readonly indexedAt: string;
}

/** Returns the function that finds the posts above a reply, the nearest first. */
function postsAbove(posts: readonly Reply[]): (reply: Reply) => readonly Reply[] {
  const byUri = new Map(posts.map((post) => [post.uri, post]));
  return (reply) => {
    const above: Reply[] = [];
    for (let parent = reply.replyParent; parent !== null; ) {
      const post = byUri.get(parent);
      if (post === undefined || post === reply || above.includes(post)) break;
      above.push(post);
      parent = post.replyParent;
    }
    return above;
  };
}

/** Ancestors that are notified of a reply. */
const noticeHeightMax = 4;

/** Returns the authors of those of the posts above a reply that may be notified of it. */
function authorsNotified(above: readonly Reply[]): readonly string[] {
  return above.slice(0, noticeHeightMax).map(({ uri }) => new AtUri(uri).host);
}

/** Returns all records of a collection. */
export function urisOf(facts: Facts, collection: string): readonly string[] {
  return facts.urisByCollection.get(collection) ?? [];
}

function sortedAtMs(json: string, indexedAt: string): number {
  const record = JSON.parse(json) as { readonly createdAt?: unknown };
  const indexedAtMs = Date.parse(indexedAt);
  if (record.createdAt === undefined) return indexedAtMs;
  const createdAtMs = Date.parse(String(record.createdAt));
  return Number.isNaN(createdAtMs) ? 0 : Math.min(createdAtMs, indexedAtMs);
}
