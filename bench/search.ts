/**
 * Search at the sizes that are asked for: what indexing and queries cost, whether that grows, and
 * whether the best answer comes first.
 *
 * One slot's rows are written directly, and indexed as a node does, with the record read for each.
 * Queries run one after the other on one thread; all figures are CPU time of the process, reading
 * the slot for each hit included.
 *
 * Beginnings of names are asked for at an index of actors alone, and a slot that notes changes for
 * an index is compared with one that does not.
 *
 * Arguments: `--posts N,N…` (150,000; --quick: 20,000), `--actors N` (a tenth of the posts),
 * `--named N` actors to begin names of (300,000; --quick: 20,000), `--folder F`, where slot and
 * index are kept or found again (a temporary one, removed).
 */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import { readSearchText } from '../src/router/plan/search-text.ts';
import { IndexWriter } from '../src/search/index-writer.ts';
import { IndexedSlot } from '../src/search/indexed-slot.ts';
import { SearchReader } from '../src/search/search-reader.ts';
import type { Slot } from '../src/slot/slot.ts';
import type { PostQuery, SearchQuery } from '../src/wire/search-messages.ts';
import type { BenchOptions, BenchResult, Figures } from './report.ts';
import {
  didOf,
  drawWord,
  fillSlot,
  mapBytes,
  nowMs,
  openSlot,
  postsPerSecond,
  putPost,
  textOf,
  unspacedText,
  wordOf,
} from './search-corpus.ts';
import { relevanceFigures, relevancePosts } from './search-relevance.ts';
import { slotShareFigures } from './search-slot-share.ts';

export const question =
  'What does search cost, to index a post and to answer each kind of query, does that grow, and is the best answer in the top 3?';

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

/** Forms that cost as much as a query may: they must end by their budget. */
const extremes: Readonly<Record<string, (random: SeededRandom) => SearchQuery>> = {
  // Each is common, all together are in no post.
  sixty_words: () => postQuery(Array.from({ length: 60 }, (_unused, word) => wordOf(word)).join(' '), 'latest'),
  long_phrase: () => postQuery(`"${Array.from({ length: 60 }, (_unused, word) => wordOf(word)).join(' ')}"`, 'top'),
  without_common: () =>
    postQuery(`lang:en ${Array.from({ length: 60 }, (_unused, word) => `-${wordOf(word)}`).join(' ')}`, 'latest'),
  many_follows: (random) => ({
    ...postQuery(wordOf(random.below(3)), 'latest'),
    followed: Array.from({ length: 20_000 }, (_unused, number) => didOf(5_000 + number)),
  }),
  no_hit_of_two_common: () => postQuery(`${wordOf(0)} lang:fr`, 'latest'),
  long_unspaced: (random) => postQuery(unspacedText(random), 'top'),
  last_page: (random) => {
    const query = postQuery(wordOf(random.below(3)), 'latest');
    return { ...query, sinceMs: 0, untilMs: nowMs - random.next() * 86_400_000 };
  },
};

type Sort = PostQuery['sort'];

/** As people might ask: most for one word, some for two, few for three or a phrase. */
function mixed(random: SeededRandom, sort: Sort): SearchQuery {
  const words = (count: number): string => Array.from({ length: count }, () => wordOf(drawWord(random))).join(' ');
  const drawn = random.next();
  return postQuery(drawn < 0.55 ? words(1) : drawn < 0.85 ? words(2) : drawn < 0.93 ? words(3) : `"${words(2)}"`, sort);
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
  const bySort = (sort: Sort, share: number): number[] => ask(reader, () => mixed(random, sort), share * count).times;
  const [latest, top] = [bySort('latest', 6), bySort('top', 4)];
  const total = [...latest, ...top].reduce((sum, us) => sum + us, 0);
  figures['mixed_latest'] = timesOf(latest);
  figures['mixed_top'] = timesOf(top);
  figures['mixed'] = { queries_per_cpu_s: ((latest.length + top.length) * 1e6) / total };
  for (const [name, make] of Object.entries(extremes))
    figures[`extreme_${name}`] = timesOf(ask(reader, () => make(random), Math.ceil(count / 10)).times);
  return figures;
}

/** Beginnings of names, at an index of actors alone. */
function typeaheadFigures(reader: SearchReader, random: SeededRandom, count: number): Figures {
  const byLetters = (letters: number) => (): SearchQuery => ({
    kind: 'actors',
    text: wordOf(drawWord(random)).slice(0, letters),
    isTypeahead: true,
    after: null,
    limit: 10,
  });
  const figures: Record<string, Figures> = {};
  const all: number[] = [];
  for (const letters of [1, 2, 3, 4, 5]) {
    ask(reader, byLetters(letters), Math.ceil(count / 10));
    const { times } = ask(reader, byLetters(letters), count);
    figures[`letters_${letters}`] = timesOf(times);
    all.push(...times);
  }
  const totalUs = all.reduce((sum, us) => sum + us, 0);
  return { ...figures, ...timesOf(all), queries_per_cpu_s: (all.length * 1e6) / totalUs };
}

/** Indexes posts as they come, so many at a time. Returns CPU a post. */
function liveUs(slot: Slot, writer: IndexWriter, random: SeededRandom, from: number, perCommit: number): number {
  slot.state.searchChanges = slot.searchQueue!.changes;
  let us = 0;
  const commits = Math.ceil(1_000 / perCommit);
  for (let commit = 0; commit < commits; commit++) {
    slot.environment.transact(() => {
      for (let index = 0; index < perCommit; index++) {
        const number = from + commit * perCommit + index;
        const createdMs = nowMs + ((number - from) * 1_000) / postsPerSecond;
        putPost(slot, random, { index: number, text: textOf(random), createdMs, likes: 0 });
      }
    });
    slot.run([], nowMs + commit);
    const before = cpuUs();
    writer.takeChanges();
    us += cpuUs() - before;
  }
  return us / (commits * perCommit);
}

type Size = { readonly posts: number; readonly actors: number };

async function measure(folder: string, { posts, actors }: Size, options: BenchOptions): Promise<Figures> {
  const { seed, quick, print } = options;
  const random = seededRandom(seed);
  const relevance = relevancePosts(random);
  const isThere = existsSync(join(folder, 'index.db'));
  mkdirSync(folder, { recursive: true });
  const slot = openSlot(folder);
  if (!isThere) {
    print(`writing ${posts} posts and ${actors} actors`);
    fillSlot(slot, random, { posts, actors, relevance });
  }
  const place = { slot: 0, path: join(folder, 'slot'), mapBytes };
  const indexed = new IndexedSlot(place);
  const path = join(folder, 'index.db');
  const writer = IndexWriter.open(path, new Map([[0, indexed]]));
  const before = cpuUs();
  while (writer.takeChanges() > 0 || writer.workOn());
  const buildUs = (cpuUs() - before) / (posts + actors);
  const bytesPerPost = statSync(path).size / posts;
  print(`${posts} posts: built for ${buildUs.toFixed(1)} us a post or actor, ${bytesPerPost.toFixed(0)} bytes a post`);
  const primaries = [place.slot];
  const reader = new SearchReader({
    path,
    places: [place],
    primaries,
    slots: 1,
    clock: systemClock,
    onDamage: () => {},
  });
  const queries = queryFigures(reader, random, quick ? 100 : 400, print);
  const find = (text: string, sort: Sort): string[] => reader.find(postQuery(text, sort, 3)).hits.map(({ key }) => key);
  const found = relevanceFigures(relevance, find);
  const live: Record<string, number> = {};
  for (const [index, perCommit] of [3, 12, 50].entries())
    live[`posts_per_commit_${perCommit}`] = liveUs(slot, writer, random, (index + 2) * 10_000_000, perCommit);
  await reader.close();
  writer.close();
  await indexed.close();
  await slot[Symbol.asyncDispose]();
  return {
    ...(isThere ? {} : { build_cpu_us_per_post: buildUs }),
    live_cpu_us_per_post: live,
    bytes_per_post: bytesPerPost,
    ...queries,
    ...found,
  };
}

/** Builds an index of actors alone, and asks for beginnings of their names. */
async function measureActors(folder: string, actors: number, { seed, quick, print }: BenchOptions): Promise<Figures> {
  const random = seededRandom(seed);
  mkdirSync(folder, { recursive: true });
  const slot = openSlot(folder);
  print(`writing ${actors} actors`);
  fillSlot(slot, random, { posts: 0, actors, relevance: { posts: [], asked: [] } });
  const place = { slot: 0, path: join(folder, 'slot'), mapBytes };
  const indexed = new IndexedSlot(place);
  const path = join(folder, 'index.db');
  const writer = IndexWriter.open(path, new Map([[0, indexed]]));
  const before = cpuUs();
  while (writer.takeChanges() > 0 || writer.workOn());
  const build_cpu_us_per_actor = (cpuUs() - before) / actors;
  const options = { path, places: [place], primaries: [0], slots: 1, clock: systemClock, onDamage: () => {} };
  const reader = new SearchReader(options);
  const figures = typeaheadFigures(reader, random, quick ? 100 : 1_000);
  print(`  typeahead: ${JSON.stringify(figures)}`);
  await reader.close();
  writer.close();
  await indexed.close();
  await slot[Symbol.asyncDispose]();
  return { build_cpu_us_per_actor, bytes_per_actor: statSync(path).size / actors, ...figures };
}

/** Returns how many times a figure of the first size it is at the last. */
function growthOf(first: Figures, last: Figures): Figures {
  const p99 = (figures: Figures, name: string): number => (figures[name] as Figures)['p99_cpu_us'] as number;
  const growth = (name: string): number => p99(last, name) / p99(first, name);
  return { latest_p99_growth: growth('mixed_latest'), top_p99_growth: growth('mixed_top') };
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, args, print } = options;
  const { values } = parseArgs({
    args: [...args],
    options: {
      posts: { type: 'string' },
      actors: { type: 'string' },
      named: { type: 'string' },
      folder: { type: 'string' },
    },
  });
  const sizes = (values.posts ?? (quick ? '20000' : '150000')).split(',').map(Number);
  const folder = values.folder ?? join(tmpdir(), `skyshard-bench-search-${process.pid}`);
  const figures: Record<string, Figures> = {};
  try {
    for (const posts of sizes) {
      const actors = Number(values.actors ?? Math.floor(posts / 10));
      const ofSize = join(folder, String(posts));
      figures[`posts_${posts}`] = await measure(ofSize, { posts, actors }, options);
      if (values.folder === undefined) rmSync(ofSize, { recursive: true, force: true });
    }
    const named = Number(values.named ?? (quick ? 20_000 : 300_000));
    const ofNamed = join(folder, 'actors');
    rmSync(ofNamed, { recursive: true, force: true });
    figures[`typeahead_of_${named}`] = await measureActors(ofNamed, named, options);
    rmSync(ofNamed, { recursive: true, force: true });
    const share = await slotShareFigures(join(folder, 'share'), seededRandom(options.seed), quick ? 6 : 40);
    print(`  the slot's share: ${JSON.stringify(share)}`);
    figures['slot_share'] = share;
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
  const all = sizes.map((posts) => figures[`posts_${posts}`]!);
  const growth = all.length > 1 ? growthOf(all[0]!, all.at(-1)!) : {};
  return { dataSize: `${sizes.join(', ')} posts`, figures: { ...figures, ...growth } };
}
