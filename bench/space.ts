/**
 * Bytes on disk a record, once every table of a slot has rows.
 *
 * The social graph with all its kinds of records, and what else an AppView keeps: labels, tags and
 * takedowns, mutes, bookmarks, drafts and the rest of private data: an item for each seven records.
 * Only records count as records, so that all else makes them larger. `bench/ingest.ts`
 * prints the same for records alone.
 *
 * Then a fifth as many records follow, spread over all actors, and the nodes are left alone until
 * they have compacted what is quiet by themselves.
 *
 * Arguments: the count of records.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { privateNamespace } from '../src/atproto/private-namespace.ts';
import { systemClock } from '../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import type { OutsideEntry, PrivateWrite } from '../src/entry/entry.ts';
import { suggestionsKey } from '../src/entry/suggestion.ts';
import { slotPath } from '../src/node/data-folder.ts';
import { tableCode } from '../src/slot/table/slot-state.ts';
import type { SlotCompaction } from '../src/wire/slot-compaction.ts';
import { benchCacheFolder } from './bench-cache.ts';
import { loadEntries } from './box.ts';
import { graphEntries } from './graph-output.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';
import { labelsOf } from './serving-extras.ts';
import { uriOfOp } from './serving-network.ts';
import { bytesPerRecord, diskBytes, liveTables, pagesAndCommits, type SlotFolder } from './slot-space.ts';

export const question = 'How many bytes on disk does a record take, once every table of a slot has rows?';

const slots = 16;
const nodes = 2;
/** Posts that private data points at. */
const postsKept = 50_000;

/** What each actor, of some 60 records, has in private besides three settings. */
const ofActor = { mutes: 2, listMutes: 1, threadMutes: 1, bookmarks: 2, subscriptions: 1, drafts: 1 } as const;

type Kept = { readonly posts: string[]; readonly lists: string[]; readonly actors: string[]; records: number };

/** Yields entries with so many records of those that are left, which go on afterwards. */
function* records(left: Iterator<OutsideEntry>, countMax: number, kept: Kept): Generator<OutsideEntry> {
  for (let next = left.next(); next.done !== true; next = left.next()) {
    const entry = next.value;
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
    if (kept.records >= countMax) return;
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

type Load = { readonly seed: number; readonly count: number; readonly left: Iterator<OutsideEntry> };

function* entriesOf({ seed, count, left }: Load, kept: Kept): Generator<OutsideEntry> {
  yield* records(left, count, kept);
  const random = seededRandom(seed + 2);
  for (const did of new Set(kept.actors))
    for (const write of privateWrites(random, kept)) yield { kind: 'private', did, write };
  yield* operatorWrites(kept);
}

/** Waits until no slot is worth a compaction any more, as its node sees it. */
async function compacted(port: number): Promise<void> {
  for (let slot = 0; slot < slots; slot++) {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/compact`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ slot, action: 'look' }),
      });
      const { phase, bytes, packedBytes } = (await answer.json()) as SlotCompaction;
      if (phase !== 'waiting' && phase !== 'copying' && packedBytes > bytes * 0.75) break;
      await systemClock.sleep(1_000);
    }
  }
}

function folderIn(folder: string): SlotFolder {
  return (slot) => slotPath(join(folder, `node-n${Math.floor((slot * nodes) / slots)}`), slot);
}

async function spaceOf(folder: string, count: number): Promise<Figures> {
  const { pageBytes, fileBytes } = await pagesAndCommits(folderIn(folder), slots);
  const used = Object.values(pageBytes).reduce((total, size) => total + size, 0);
  return {
    records: count,
    bytes_per_record: diskBytes(folder) / count,
    page_bytes_per_record: { ...bytesPerRecord(pageBytes, count), free: (fileBytes - used) / count },
  };
}

export async function run({ args, quick, seed, print }: BenchOptions): Promise<BenchResult> {
  const count = Number(args[0] ?? (quick ? 50_000 : 1_000_000));
  const liveCount = count / 5;
  const folder = mkdtempSync(join(benchCacheFolder(), 'space-'));
  const kept: Kept = { posts: [], lists: [], actors: [], records: 0 };
  const left = graphEntries({ seed, records: count + liveCount });
  const quietOf = (seconds: number): string[] => ['--compact-quiet-s', String(seconds)];
  try {
    await loadEntries(folder, { slots, nodes, nodeSettings: quietOf(0) }, entriesOf({ seed, count, left }, kept));
    const loaded = await spaceOf(folder, kept.records);
    print(`${JSON.stringify(loaded)} once loaded`);
    await loadEntries(folder, { slots, nodes, nodeSettings: quietOf(0) }, records(left, count + liveCount, kept));
    const written = await spaceOf(folder, kept.records);
    print(`${JSON.stringify(written)} after ${liveCount} more`);
    await loadEntries(folder, { slots, nodes, nodeSettings: quietOf(5), whenSettled: compacted }, []);
    const all = Array.from({ length: slots }, (_unused, slot) => slot);
    const { bytes, rows } = await liveTables(folderIn(folder), all);
    return {
      dataSize: `${kept.records} records of ${new Set(kept.actors).size} actors in ${slots} slots`,
      figures: {
        loaded,
        after_live_writes: written,
        once_quiet: await spaceOf(folder, kept.records),
        live_bytes_per_record: bytesPerRecord(bytes, kept.records),
        rows_by_table: Object.fromEntries(Object.keys(tableCode).map((table) => [table, rows[table] ?? 0])),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
