import { AtUri } from '@atproto/api';
import type { OfficialPlane } from '../network/official-plane.ts';
import { isAskedFor } from './differences.ts';

/** What the official plane holds at one moment, as the source of the oracle's questions. */
export interface Facts {
  /** Every actor that the official plane has seen, those with most records first. */
  readonly dids: readonly string[];
  /** Handles of active accounts; whether a host still answers for the others is its own affair. */
  readonly handles: readonly string[];
  /** Well-formed DIDs that nobody has. */
  readonly unknownDids: readonly string[];
  /** URIs of records that are gone or never were. */
  readonly goneUris: readonly string[];
  /** Every record, by collection. */
  readonly urisByCollection: ReadonlyMap<string, readonly string[]>;
  /** The time that feeds and lists are sorted by, in milliseconds, by record URI. */
  readonly sortedAtMsByUri: ReadonlyMap<string, number>;
  /** Replies that claim a root which their parent does not have, and replies below them. */
  readonly foreignRootUris: ReadonlySet<string>;
  /** Records that were duplicates of one that is gone, the oldest of which has taken its place. */
  readonly promotedUris: ReadonlySet<string>;
  /** Who gets a notice from one plane and none from the other, for a reason that is meant. */
  readonly disputedDids: ReadonlySet<string>;
  /** (did, cid) of blobs whose takedown may be asked for. */
  readonly blobs: readonly { readonly did: string; readonly cid: string }[];
}

const unknownDids = ['did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', 'did:web:nobody.example'];
const unknownRkey = '3kzzzzzzzzzzz';

/**
 * Reads the facts from the tables of the official plane.
 *
 * Shape: gone holds URIs that the test itself has deleted or made up; they are asked for like any other. everPromoted
 * collects the promoted duplicates of all rounds, since the official plane forgets them when it deletes the account.
 */
export async function readFacts(
  official: OfficialPlane,
  gone: readonly string[],
  everPromoted: Set<string> = new Set(),
): Promise<Facts> {
  const records = await official.db.db
    .selectFrom('record')
    .select(['uri', 'json', 'indexedAt'])
    .orderBy('uri')
    .execute();
  const actors = await official.db.db
    .selectFrom('actor')
    .select(['did', 'handle', 'upstreamStatus'])
    .orderBy('did')
    .execute();
  const urisByCollection = new Map<string, string[]>();
  const sortedAtMsByUri = new Map<string, number>();
  const recordCountByDid = new Map<string, number>();
  const blobs = new Map<string, { did: string; cid: string }>();
  for (const { uri, json, indexedAt } of records) {
    const { host, collection, rkey } = new AtUri(uri);
    if (!isAskedFor(collection, rkey)) continue;
    const uris = urisByCollection.get(collection) ?? [];
    uris.push(uri);
    urisByCollection.set(collection, uris);
    sortedAtMsByUri.set(uri, sortedAtMs(json, indexedAt));
    recordCountByDid.set(host, (recordCountByDid.get(host) ?? 0) + 1);
    for (const match of json.matchAll(/"\$link":"([a-z0-9]+)"/g))
      blobs.set(`${host} ${match[1]}`, { did: host, cid: match[1]! });
  }
  const disputes = await readDisputes(official, everPromoted);
  const count = (did: string): number => recordCountByDid.get(did) ?? 0;
  return {
    dids: actors.map(({ did }) => did).sort((a, b) => count(b) - count(a)),
    handles: actors.flatMap(({ handle, upstreamStatus }) => (handle === null || upstreamStatus ? [] : [handle])),
    unknownDids,
    goneUris: [...gone, `at://${unknownDids[0]}/app.bsky.feed.post/${unknownRkey}`],
    urisByCollection,
    sortedAtMsByUri,
    ...disputes,
    blobs: [...blobs.values()],
  };
}

type Disputes = Pick<Facts, 'foreignRootUris' | 'promotedUris' | 'disputedDids'>;

async function readDisputes({ db }: OfficialPlane, everPromoted: Set<string>): Promise<Disputes> {
  const foreign = await db.db.selectFrom('post').where('invalidReplyRoot', '=', true).select('uri').execute();
  const foreignRootUris = new Set(foreign.map(({ uri }) => uri));
  const records = await db.db.selectFrom('record').select(['uri', 'json']).execute();
  const existing = new Set(records.map(({ uri }) => uri));
  const duplicates = await db.db.selectFrom('duplicate_record').select(['uri', 'duplicateOf']).execute();
  for (const { uri, duplicateOf } of duplicates) if (!existing.has(duplicateOf)) everPromoted.add(uri);
  const disputedDids = new Set<string>();
  const notices = await db.db.selectFrom('notification').select(['did', 'recordUri']).execute();
  for (const { did, recordUri } of notices) if (foreignRootUris.has(recordUri)) disputedDids.add(did);
  for (const { uri, json } of records) {
    if (!everPromoted.has(uri)) continue;
    const { subject } = JSON.parse(json) as { readonly subject: string | { readonly uri: string } };
    disputedDids.add(typeof subject === 'string' ? subject : new AtUri(subject.uri).host);
  }
  return { foreignRootUris, promotedUris: everPromoted, disputedDids };
}

/** Gives all records of a collection. */
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
