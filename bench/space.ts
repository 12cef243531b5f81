/**
 * Bytes on disk a record, once every table of a slot has rows.
 *
 * The social graph with all its kinds of records, and what else an AppView keeps: labels, tags and
 * takedowns, mutes, bookmarks, drafts and the rest of private data: an item for each seven records.
 * Only records count as records, so that all else makes them larger. `bench/ingest.ts`
 * prints the same for records alone.
 *
 * Arguments: the count of records.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { privateNamespace } from '../src/atproto/private-namespace.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import type { OutsideEntry, PrivateWrite } from '../src/entry/entry.ts';
import { suggestionsKey } from '../src/entry/suggestion.ts';
import { slotPath } from '../src/node/data-folder.ts';
import { tableCode } from '../src/slot/table/slot-state.ts';
import { benchCacheFolder } from './bench-cache.ts';
import { loadEntries } from './box.ts';
import { graphEntries } from './graph-output.ts';
import type { BenchOptions, BenchResult } from './report.ts';
import { labelsOf } from './serving-extras.ts';
import { uriOfOp } from './serving-network.ts';
import { bytesPerRecord, diskBytes, liveTables, pagesAndCommits } from './slot-space.ts';

export const question = 'How many bytes on disk does a record take, once every table of a slot has rows?';

const slots = 16;
const nodes = 2;
/** Posts that private data points at. */
const postsKept = 50_000;

/** What each actor, of some 60 records, has in private besides three settings. */
const ofActor = { mutes: 2, listMutes: 1, threadMutes: 1, bookmarks: 2, subscriptions: 1, drafts: 1 } as const;

type Kept = { readonly posts: string[]; readonly lists: string[]; readonly actors: string[]; records: number };

function* records(seed: number, count: number, kept: Kept): Generator<OutsideEntry> {
  for (const entry of graphEntries({ seed, records: count })) {
    yield entry;
    if (entry.kind === 'identity') kept.actors.push(entry.did);
    if (entry.kind !== 'commit') continue;
    for (const op of entry.ops) {
      if (op.action !== 'delete') kept.records++;
      if (op.collection === 'app.bsky.graph.list') kept.lists.push(uriOfOp(entry.did, op));
      if (op.collection === 'app.bsky.feed.post' && kept.posts.length < postsKept)
        kept.posts.push(uriOfOp(entry.did, op));
    }
    yield* labelsOf(entry.did, entry.ops, entry.eventMs);
  }
}

function refOf(uri: string): { did: string; collection: string; rkey: string } {
  const [, , did = '', collection = '', rkey = ''] = uri.split('/');
  return { did, collection, rkey };
}

/** Yields what one actor keeps in private. */
function* privateWrites(random: SeededRandom, { posts, lists, actors }: Kept): Generator<PrivateWrite> {
  const pick = (items: readonly string[]): string => items[random.below(items.length)]!;
  const times = (count: number): number[] => Array.from({ length: count }, (_unused, index) => index);
  const data = (namespace: string, key: string, value: object): PrivateWrite => {
    const payload = JSON.stringify({ ...value, $type: namespace });
    return { type: 'private-data', method: 'create', namespace, key, payload };
  };
  for (const _mute of times(ofActor.mutes))
    yield { type: 'mute', subject: pick(actors), onlyReposts: false, onlyQuoteposts: false };
  if (lists.length > 0)
    for (const _mute of times(ofActor.listMutes)) yield { type: 'list-mute', list: refOf(pick(lists)) };
  for (const _mute of times(ofActor.threadMutes)) yield { type: 'thread-mute', root: refOf(pick(posts)) };
  for (const index of times(ofActor.bookmarks))
    yield data(privateNamespace.bookmark, `3kbookmark${index}`, { subject: { uri: pick(posts), cid: '' } });
  for (const index of times(ofActor.subscriptions)) {
    const value = { subject: pick(actors), activitySubscription: { post: true, reply: false } };
    yield data(privateNamespace.activitySubscription, `3ksub${index}`, value);
  }
  for (const index of times(ofActor.drafts))
    yield data(privateNamespace.draft, `3kdraft${index}`, {
      draft: { posts: [{ text: 'x'.repeat(random.below(300)) }] },
    });
  yield { type: 'notification-priority', isPriority: false };
  yield { type: 'notification-seen', seenMs: 1_740_000_000_000 };
  const region = { countryCode: 'DE', regionCode: null };
  yield { type: 'age-assurance', change: { status: 'assured', access: 'full', lastInitiatedMs: 1, ...region } };
}

/** Yields what operators write about a few. */
function* operatorWrites(kept: Kept): Generator<OutsideEntry> {
  for (const [index, uri] of kept.posts.entries()) {
    const { did, collection, rkey } = refOf(uri);
    if (index % 1_000 === 0) {
      yield { kind: 'private', did, write: { type: 'record-takedown', collection, rkey, ref: 'T' } };
      yield { kind: 'private', did, write: { type: 'record-tags', collection, rkey, tags: ['tag'] } };
      yield { kind: 'private', did, write: { type: 'blob-takedown', cid: `bafkrei${rkey}`, ref: 'T' } };
      yield { kind: 'private', did, write: { type: 'actor-tags', tags: ['tag'] } };
    }
  }
  const changes = kept.actors
    .slice(0, 1_000)
    .map((subject) => ({ tag: '', subject, subjectType: '', order: 'last' }) as const);
  yield { kind: 'private', did: suggestionsKey, write: { type: 'suggestions', list: 'follows', changes } };
}

function* entriesOf(seed: number, count: number, kept: Kept): Generator<OutsideEntry> {
  yield* records(seed, count, kept);
  const random = seededRandom(seed + 2);
  for (const did of new Set(kept.actors))
    for (const write of privateWrites(random, kept)) yield { kind: 'private', did, write };
  yield* operatorWrites(kept);
}

export async function run({ args, quick, seed }: BenchOptions): Promise<BenchResult> {
  const count = Number(args[0] ?? (quick ? 50_000 : 1_000_000));
  const folder = mkdtempSync(join(benchCacheFolder(), 'space-'));
  const folderOf = (slot: number): string =>
    slotPath(join(folder, `node-n${Math.floor((slot * nodes) / slots)}`), slot);
  const kept: Kept = { posts: [], lists: [], actors: [], records: 0 };
  try {
    await loadEntries(folder, { slots, nodes }, entriesOf(seed, count, kept));
    const all = Array.from({ length: slots }, (_unused, slot) => slot);
    const { bytes, rows } = await liveTables(folderOf, all);
    const { pageBytes, fileBytes } = await pagesAndCommits(folderOf, slots);
    const used = Object.values(pageBytes).reduce((total, size) => total + size, 0);
    return {
      dataSize: `${kept.records} records of ${new Set(kept.actors).size} actors in ${slots} slots`,
      figures: {
        bytes_per_record: diskBytes(folder) / kept.records,
        page_bytes_per_record: { ...bytesPerRecord(pageBytes, kept.records), free: (fileBytes - used) / kept.records },
        live_bytes_per_record: bytesPerRecord(bytes, kept.records),
        rows_by_table: Object.fromEntries(Object.keys(tableCode).map((table) => [table, rows[table] ?? 0])),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
