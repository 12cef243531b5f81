/**
 * Search at the size that is asked for: what indexing and queries cost, and whether the best answer
 * comes first.
 *
 * One slot's rows are written directly, and indexed as a node does, with the record read for each.
 * Words are drawn by a Zipf-Mandelbrot law of 200,000, so that the most common is in about a fifth
 * of the posts; an eighth of the posts is Japanese-like, without spaces. Words are independent, so
 * that several together are rarer than in life. Queries run one after the other on one thread; all
 * figures are CPU time of the process, reading the slot for each hit included.
 *
 * Arguments: `--posts N` (150,000; --quick: 20,000), `--actors N` (a tenth of that).
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nsid } from '../src/atproto/collection.ts';
import { systemClock } from '../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import { readSearchText } from '../src/router/plan/search-text.ts';
import { IndexWriter } from '../src/search/index-writer.ts';
import { IndexedSlot } from '../src/search/indexed-slot.ts';
import { SearchReader } from '../src/search/search-reader.ts';
import { Slot } from '../src/slot/slot.ts';
import { addToActorCount } from '../src/slot/table/actor-counts.ts';
import { putActor } from '../src/slot/table/actor-row.ts';
import { appliedRecord, putRecordRow } from '../src/slot/table/applied-record.ts';
import { recordCountsKey } from '../src/slot/table/record-counts.ts';
import type { PostQuery, SearchQuery } from '../src/wire/search-messages.ts';
import { recordOp } from '../test/support/record-op.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';
import { type Relevance, relevanceFigures, relevancePosts } from './search-relevance.ts';

export const question =
  'What does search cost, to index a post and to answer each kind of query, and is the best answer in the top 3?';

const wordCount = 200_000;
const shift = 8;
const nowMs = Date.UTC(2026, 0, 1);
const postsPerSecond = 12;
const mapBytes = 2 ** 36;

/** Draws the number of a word: 0 is the most common. */
function drawWord(random: SeededRandom): number {
  return Math.floor((shift + 1) * ((wordCount + shift) / (shift + 1)) ** random.next() - shift - 1 + 1e-9);
}

function wordOf(number: number): string {
  const letters = number.toString(26).replace(/[0-9]/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);
  return `${letters}${'aeiou'[number % 5]}`;
}

function unspacedText(random: SeededRandom): string {
  return Array.from({ length: 30 }, () =>
    String.fromCodePoint(
      random.below(2) === 0 ? 0x3042 + random.below(80) : 0x4e00 + Math.floor(2_000 * random.next() ** 3),
    ),
  ).join('');
}

function textOf(random: SeededRandom): string {
  if (random.below(8) === 0) return unspacedText(random);
  return Array.from({ length: 8 + random.below(28) }, () => wordOf(drawWord(random))).join(' ');
}

type BenchPost = { readonly index: number; readonly text: string; readonly createdMs: number; readonly likes: number };

const didOf = (number: number): string => `did:web:a${number}.example`;

/** Writes a post's row, and counts for one in fourteen. */
function putPost(slot: Slot, random: SeededRandom, { index, text, createdMs, likes }: BenchPost): void {
  const did = didOf(random.below(5_000));
  const owner = slot.state.ensureOwner(did);
  const value = { $type: nsid.post, text, langs: ['en'], createdAt: new Date(createdMs).toISOString() };
  const ref = { did, collection: nsid.post, rkey: `r${index}` };
  const { cid } = recordOp(ref, value);
  const body = { form: 'json', json: JSON.stringify(value) } as const;
  const row = { indexedMs: createdMs, createdMs, cid, takedownRef: null, postFlags: 0, body };
  const record = appliedRecord(owner, ref, row, value);
  putRecordRow(slot.state, record, row);
  if (likes === 0) return;
  const counts = Buffer.alloc(4);
  counts.writeUInt32BE(likes);
  slot.state.rows.put(recordCountsKey(owner, nsid.post, ref.rkey), counts);
}

function writeActors(slot: Slot, random: SeededRandom, count: number): void {
  for (let from = 0; from < count; from += 1_000) {
    slot.environment.transact(() => {
      for (let index = from; index < Math.min(count, from + 1_000); index++) {
        const did = didOf(index);
        const owner = slot.state.ensureOwner(did);
        const times = { handleVerifiedMs: 1, identityMs: 1, accountMs: 1, seenMs: 1 };
        const handle = `${wordOf(drawWord(random))}${index}.example`;
        putActor(slot.state, owner, {
          did,
          handle,
          upstreamStatus: '',
          takedownRef: null,
          isTrustedVerifier: false,
          ...times,
        });
        for (let followers = Math.floor(8 * random.next() ** 8); followers > 0; followers--)
          addToActorCount(slot.state, owner, 'followers', 1);
      }
      slot.state.flushOwnerRows();
    });
  }
}

function likesOf(random: SeededRandom): number {
  return random.below(14) === 0 ? Math.floor(8 / (random.next() + 0.01)) : 0;
}

function writePosts(slot: Slot, random: SeededRandom, count: number): void {
  for (let from = 0; from < count; from += 1_000) {
    slot.environment.transact(() => {
      for (let index = from; index < Math.min(count, from + 1_000); index++) {
        putPost(slot, random, {
          index,
          text: textOf(random),
          createdMs: nowMs - ((count - index) * 1_000) / postsPerSecond,
          likes: likesOf(random),
        });
      }
    });
  }
}

/** Returns the CPU time of the process since it began. Units: µs. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function timesOf(each: readonly number[]): Figures {
  const sorted = [...each].sort((one, other) => one - other);
  const mean = each.reduce((sum, us) => sum + us, 0) / Math.max(1, each.length);
  return {
    mean_cpu_us: mean,
    p50_cpu_us: percentile(sorted, 0.5),
    p99_cpu_us: percentile(sorted, 0.99),
    max_cpu_us: sorted.at(-1) ?? 0,
  };
}

function postQuery(text: string, sort: PostQuery['sort'], limit = 25): PostQuery {
  const { all, none } = readSearchText(text, 'q');
  return { kind: 'posts', sort, all, none, sinceMs: null, untilMs: nowMs + 1_000, followed: null, after: null, limit };
}

/** Queries by class. The number of a word says how common it is. */
const classes: Readonly<Record<string, (random: SeededRandom) => SearchQuery>> = {
  latest_rare: (random) => postQuery(wordOf(20_000 + random.below(100_000)), 'latest'),
  latest_medium: (random) => postQuery(wordOf(200 + random.below(2_000)), 'latest'),
  latest_most_common: () => postQuery(wordOf(0), 'latest'),
  latest_two_common: (random) => postQuery(`${wordOf(random.below(20))} ${wordOf(20 + random.below(100))}`, 'latest'),
  latest_common_and_rare: (random) =>
    postQuery(`${wordOf(random.below(5))} ${wordOf(20_000 + random.below(50_000))}`, 'latest'),
  latest_three_sparse: (random) =>
    postQuery(
      `${wordOf(random.below(20))} ${wordOf(300 + random.below(300))} ${wordOf(700 + random.below(500))}`,
      'latest',
    ),
  latest_phrase: (random) => postQuery(`"${wordOf(random.below(10))} ${wordOf(random.below(10))}"`, 'latest'),
  latest_unspaced: (random) => postQuery(unspacedText(random).slice(0, 2), 'latest'),
  latest_author: (random) => postQuery(`${wordOf(random.below(10))} from:${didOf(random.below(5_000))}`, 'latest'),
  top_most_common: () => postQuery(wordOf(0), 'top'),
  top_medium: (random) => postQuery(wordOf(200 + random.below(2_000)), 'top'),
  top_two_common: (random) => postQuery(`${wordOf(random.below(20))} ${wordOf(20 + random.below(100))}`, 'top'),
  top_three_sparse: (random) =>
    postQuery(
      `${wordOf(random.below(20))} ${wordOf(300 + random.below(300))} ${wordOf(700 + random.below(500))}`,
      'top',
    ),
};

/** As people might ask: most for one word, some for two, few for three or a phrase. */
function mixed(random: SeededRandom): SearchQuery {
  const words = (count: number): string => Array.from({ length: count }, () => wordOf(drawWord(random))).join(' ');
  const drawn = random.next();
  const text = drawn < 0.55 ? words(1) : drawn < 0.85 ? words(2) : drawn < 0.93 ? words(3) : `"${words(2)}"`;
  return postQuery(text, random.next() < 0.6 ? 'latest' : 'top');
}

function ask(reader: SearchReader, make: () => SearchQuery, count: number): { times: number[]; hits: number } {
  const times: number[] = [];
  let hits = 0;
  for (let index = 0; index < count; index++) {
    const query = make();
    const before = cpuUs();
    hits += reader.find(query).hits.length;
    times.push(cpuUs() - before);
  }
  return { times, hits };
}

function queryFigures(
  reader: SearchReader,
  random: SeededRandom,
  count: number,
  print: BenchOptions['print'],
): Figures {
  const figures: Record<string, Figures> = {};
  for (const [name, make] of Object.entries(classes)) {
    ask(reader, () => make(random), Math.ceil(count / 10));
    const { times, hits } = ask(reader, () => make(random), count);
    figures[name] = { ...timesOf(times), hits_per_query: hits / count };
    print(`  ${name}: ${JSON.stringify(timesOf(times))}`);
  }
  const byLetters = (letters: number) => (): SearchQuery => ({
    kind: 'actors',
    text: wordOf(drawWord(random)).slice(0, letters),
    isTypeahead: true,
    after: null,
    limit: 10,
  });
  for (const letters of [1, 2, 3, 4, 5])
    figures[`typeahead_${letters}`] = timesOf(ask(reader, byLetters(letters), count).times);
  const all = ask(reader, () => mixed(random), 4 * count).times;
  const total = all.reduce((sum, us) => sum + us, 0);
  figures['mixed'] = { ...timesOf(all), queries_per_cpu_s: (all.length * 1e6) / total };
  return figures;
}

/** Indexes posts as they come, some at a time. Returns CPU a post. */
function liveUs(slot: Slot, writer: IndexWriter, random: SeededRandom, from: number): number {
  const { state, searchQueue } = slot;
  state.searchChanges = searchQueue!.changes;
  let us = 0;
  const batches = 40;
  const perBatch = 25;
  for (let batch = 0; batch < batches; batch++) {
    slot.environment.transact(() => {
      for (let index = 0; index < perBatch; index++) {
        const number = from + batch * perBatch + index;
        putPost(slot, random, {
          index: number,
          text: textOf(random),
          createdMs: nowMs + ((number - from) * 1_000) / postsPerSecond,
          likes: 0,
        });
      }
    });
    slot.run([], nowMs + batch);
    const before = cpuUs();
    writer.takeChanges();
    us += cpuUs() - before;
  }
  return us / (batches * perBatch);
}

function makeSlot(folder: string, random: SeededRandom, posts: number, actors: number, relevance: Relevance): Slot {
  const slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes, isSearched: true });
  // Rows are written without a queue, since the index is built from the rows.
  slot.state.searchChanges = null;
  writeActors(slot, random, Math.max(actors, 5_000));
  writePosts(slot, random, posts);
  slot.environment.transact(() => {
    for (const [at, { text, ageMs, likes }] of relevance.posts.entries())
      putPost(slot, random, { index: 10_000_000 + at, text, createdMs: nowMs - ageMs, likes });
  });
  slot.run([], nowMs);
  return slot;
}

export async function run({ quick, seed, args, print }: BenchOptions): Promise<BenchResult> {
  const { values } = parseArgs({ args: [...args], options: { posts: { type: 'string' }, actors: { type: 'string' } } });
  const posts = Number(values.posts ?? (quick ? 20_000 : 150_000));
  const actors = Number(values.actors ?? Math.floor(posts / 10));
  const random = seededRandom(seed);
  const folder = join(tmpdir(), `skyshard-bench-search-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const relevance = relevancePosts(random);
    print(`writing ${posts} posts and ${actors} actors`);
    const slot = makeSlot(folder, random, posts, actors, relevance);
    const place = { slot: 0, path: join(folder, 'slot'), mapBytes };
    const indexed = new IndexedSlot(place);
    const path = join(folder, 'index.db');
    const writer = IndexWriter.open(path, new Map([[0, indexed]]));
    const before = cpuUs();
    while (writer.takeChanges() > 0 || writer.workOn());
    const buildUs = (cpuUs() - before) / (posts + actors);
    const bytesPerPost = statSync(path).size / posts;
    print(`built: ${buildUs.toFixed(1)} us a post, ${bytesPerPost.toFixed(0)} bytes`);
    const reader = new SearchReader({
      path,
      places: [place],
      primaries: [place.slot],
      slots: 1,
      clock: systemClock,
      onDamage: () => {},
    });
    const queries = queryFigures(reader, random, quick ? 100 : 400, print);
    const found = relevanceFigures(relevance, (text, sort) =>
      reader.find(postQuery(text, sort, 3)).hits.map(({ key }) => key),
    );
    const live = liveUs(slot, writer, random, 20_000_000);
    await reader.close();
    writer.close();
    await indexed.close();
    await slot[Symbol.asyncDispose]();
    return {
      dataSize: `${posts} posts, ${actors} actors`,
      figures: {
        build_cpu_us_per_post: buildUs,
        live_cpu_us_per_post: live,
        bytes_per_post: bytesPerPost,
        ...queries,
        ...found,
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
