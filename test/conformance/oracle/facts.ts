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
  /** (did, cid) of blobs whose takedown may be asked for. */
  readonly blobs: readonly { readonly did: string; readonly cid: string }[];
}

const unknownDids = ['did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', 'did:web:nobody.example'];
const unknownRkey = '3kzzzzzzzzzzz';

/**
 * Reads the facts from the tables of the official plane.
 *
 * Shape: gone holds URIs that the test itself has deleted or made up; they are asked for like any other.
 */
export async function readFacts(official: OfficialPlane, gone: readonly string[]): Promise<Facts> {
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
  const count = (did: string): number => recordCountByDid.get(did) ?? 0;
  return {
    dids: actors.map(({ did }) => did).sort((a, b) => count(b) - count(a)),
    handles: actors.flatMap(({ handle, upstreamStatus }) => (handle === null || upstreamStatus ? [] : [handle])),
    unknownDids,
    goneUris: [...gone, `at://${unknownDids[0]}/app.bsky.feed.post/${unknownRkey}`],
    urisByCollection,
    sortedAtMsByUri,
    blobs: [...blobs.values()],
  };
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
