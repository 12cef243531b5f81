/** Random corpora and queries: the index answers as a list does that plain code filters. */

import { afterEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../../src/base/seeded-random.ts';
import type { PostQuery, SearchTerm } from '../../src/wire/search-messages.ts';
import { SearchHarness } from '../support/search-harness.ts';
import { numberedDid } from './reads-network.ts';

/** The first are common, the last rare. */
const vocabulary = 'the sun moon river stone bread ghost violin 東京 京都 サクラ привет'.split(' ');
const languages = ['en', 'ja', 'ru'];
const authorCount = 12;

type ModelPost = {
  readonly uri: string;
  readonly author: string;
  readonly words: readonly string[];
  readonly language: string;
  readonly tag: string | null;
  readonly sortMs: number;
  likes: number;
};

let search: SearchHarness;
afterEach(() => search[Symbol.asyncDispose]());

function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[Math.min(items.length - 1, Math.floor(items.length * random.next() ** 2))]!;
}

/** Writes posts, edits, likes and deletions. Returns what must be found. */
function makeCorpus(random: SeededRandom, count: number): ModelPost[] {
  const { network } = search;
  const posts: ModelPost[] = [];
  const authors = Array.from({ length: authorCount }, (_unused, at) => numberedDid(at));
  for (const did of authors) network.profile(did, `a${authors.indexOf(did)}.test`);
  for (let index = 0; index < count; index++) {
    const author = pick(random, authors);
    const words = Array.from({ length: 1 + random.below(6) }, () => pick(random, vocabulary));
    const language = pick(random, languages);
    const tag = random.below(4) === 0 ? pick(random, ['cats', 'dogs']) : null;
    // Many share a moment, and some claim one long ago.
    const createdMs = network.timeMs - (random.below(5) === 0 ? random.below(2_000) * 86_400_000 : random.below(8));
    const record = {
      text: words.join(' '),
      langs: [language],
      ...(tag === null ? {} : { tags: [tag] }),
      createdAt: new Date(createdMs).toISOString(),
    };
    const rkey = `r${index}`;
    const { uri, cid } = network.put(author, 'app.bsky.feed.post', record, rkey);
    const post = { uri, author, words, language, tag, sortMs: createdMs, likes: 0 };
    posts.push(post);
    for (let like = random.below(3) === 0 ? random.below(authorCount) : 0; like > 0; like--) {
      network.like(authors[like]!, { uri, cid });
      post.likes++;
    }
    if (random.below(10) === 0) {
      const gone = posts.splice(random.below(posts.length), 1)[0]!;
      network.delete(gone);
    }
    if (random.below(30) === 0) search.settle();
  }
  search.settle();
  return posts;
}

type Wanted = Pick<PostQuery, 'all' | 'none' | 'sinceMs'>;

function randomTerm(random: SeededRandom): SearchTerm {
  switch (random.below(5)) {
    case 0:
      return { kind: 'author', value: numberedDid(random.below(authorCount + 1)) };
    case 1:
      return { kind: 'language', value: pick(random, languages) };
    case 2:
      return { kind: 'tag', value: pick(random, ['cats', 'dogs', 'mice']) };
    default:
      return { kind: 'text', value: pick(random, vocabulary) };
  }
}

function randomQuery(random: SeededRandom): Wanted {
  const terms = (most: number): SearchTerm[] =>
    Array.from({ length: 1 + random.below(most) }, () => randomTerm(random));
  const all = Array.from({ length: random.below(4) }, () => (random.below(4) === 0 ? terms(3) : terms(1)));
  const none = random.below(3) === 0 ? terms(2) : [];
  const sinceMs = random.below(4) === 0 ? search.network.timeMs - random.below(2_000) * 86_400_000 : null;
  return { all, none, sinceMs };
}

function has({ author, words, language, tag }: ModelPost, { kind, value }: SearchTerm): boolean {
  if (kind === 'author') return author === value;
  if (kind === 'language') return language === value;
  if (kind === 'tag') return tag === value;
  return words.includes(value) || tag === value;
}

function wanted(posts: readonly ModelPost[], { all, none, sinceMs }: Wanted): ModelPost[] {
  return posts.filter(
    (post) =>
      all.every((terms) => terms.some((term) => has(post, term))) &&
      !none.some((term) => has(post, term)) &&
      (sinceMs === null || post.sortMs >= sinceMs),
  );
}

/** As `top` documents it. */
function modelScore({ likes, words, tag, sortMs }: ModelPost, atMs: number): number {
  const isPairs = (word: string): boolean => /[\u3040-\u9fff]/.test(word);
  const terms = words.reduce((sum, word) => sum + (isPairs(word) ? word.length - 1 : 1), tag === null ? 0 : 1);
  const age = Math.log2(1 + (atMs - sortMs) / (12 * 3_600_000));
  return Math.floor(Math.log2(1 + likes)) - 1.2 * age + 0.5 * (2.2 / (1 + 1.2 * (0.25 + (0.75 * terms) / 24)));
}

/** Time stands still, so that no budget ends. */
const clock: Clock = { ...systemClock, monotonicMs: () => 0 };

it.each([
  [1, 3_000_000],
  [2, 3_000_000],
  [3, 100],
  [4, 100],
])('latest and top are those of a list (seed %i, windows from %i posts on)', (seed, rowsOfTerm) => {
  search = new SearchHarness(4, 1, { clock, rowsOfTerm });
  const random = seededRandom(seed);
  const posts = makeCorpus(random, 150);
  let foundSome = 0;
  for (let index = 0; index < 50; index++) {
    const query = randomQuery(random);
    const limit = 1 + random.below(40);
    const untilMs = search.network.timeMs + 1;
    const expected = wanted(posts, query);
    const latest = search.all((after) => search.posts('', { ...query, untilMs, after, limit }));
    const name = JSON.stringify(query);
    expect([...latest].sort(), name).toEqual(expected.map(({ uri }) => uri).sort());
    const timeOf = new Map(posts.map(({ uri, sortMs }) => [uri, sortMs]));
    // Those within some moments that many share may come in any order.
    const times = latest.map((uri) => timeOf.get(uri)!);
    for (const [at, time] of times.entries())
      expect(time, name).toBeLessThan((times[at - 1] ?? Number.POSITIVE_INFINITY) + 300);
    const top = search.all((after) => search.posts('', { ...query, sort: 'top', untilMs, after, limit }));
    const uris = expected.map(({ uri }) => uri);
    // Many windows are more work than `top` may do, and then it is of those that were seen.
    if (rowsOfTerm < posts.length || uris.length >= 200) expect(uris, name).toEqual(expect.arrayContaining(top));
    else expect([...top].sort(), name).toEqual(uris.sort());
    const scoreOf = new Map(posts.map((post) => [post.uri, modelScore(post, untilMs)]));
    const scores = top.map((uri) => scoreOf.get(uri)!);
    for (const [at, score] of scores.entries())
      expect(score, name).toBeLessThan((scores[at - 1] ?? Number.POSITIVE_INFINITY) + 1e-3);
    if (expected.length > 0) foundSome++;
  }
  expect(foundSome).toBeGreaterThan(20);
});
