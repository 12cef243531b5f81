/** What queries may cost, as work that is counted: time stands still, so that it ends none. */
import { afterEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type {
  NamedQuery,
  PostQuery,
  SearchAnswer,
  SearchPosition,
  SearchTerm,
} from '../../src/wire/search-messages.ts';
import { SearchHarness } from '../support/search-harness.ts';
import { didOf, numberedDid } from './reads-network.ts';

const post = 'app.bsky.feed.post';
const clock: Clock = { ...systemClock, monotonicMs: () => 0 };
/** What a query may spend by `Work.us`, and what the last statement and row take beyond it. */
const workUsMax = 26_000;

let search: SearchHarness;
afterEach(() => search[Symbol.asyncDispose]());

/** Asks for a page. Returns it, and what work it was. */
function counted(ask: () => SearchAnswer): { answer: SearchAnswer; looks: number; records: number; us: number } {
  const { work } = search.reader;
  const { looks, records, us } = work;
  const answer = ask();
  return { answer, looks: work.looks - looks, records: work.records - records, us: work.us - us };
}

const words = Array.from({ length: 60 }, (_unused, index) => `w${index}`);
const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Writes posts that have all words, or all but one, each with the number of the one it lacks. */
function writeWords(count: number): Map<string, number | null> {
  const { network } = search;
  const records = Array.from({ length: count }, (_unused, index) => {
    const lacks = index % 3 === 0 ? null : index % words.length;
    const createdAt = new Date(network.timeMs - index * 1_000).toISOString();
    return { lacks, record: { text: words.filter((_word, at) => at !== lacks).join(' '), langs: ['en'], createdAt } };
  });
  const uris = network.putAll(
    didOf('alice'),
    post,
    records.map(({ record }) => record),
    (index) => `r${index}`,
  );
  search.settle();
  return new Map(uris.map((uri, index) => [uri, records[index]!.lacks]));
}

function text(value: string): SearchTerm[] {
  return [{ kind: 'text', value }];
}

/** Queries of many terms, and which posts they find by the word that those lack. */
const forms: Readonly<Record<string, [Partial<PostQuery>, (lacks: number | null) => boolean]>> = {
  'sixty words': [{ all: words.map(text) }, (lacks) => lacks === null],
  'a phrase of sixty words': [{ all: [text(words.join(' '))] }, (lacks) => lacks === null],
  'two phrases of thirty words': [
    { all: [text(words.slice(30).join(' ')), text(words.slice(0, 30).join(' '))] },
    (lacks) => lacks === null,
  ],
  'thirty alternatives twice': [{ all: [words.slice(0, 30).flatMap(text), words.slice(30).flatMap(text)] }, () => true],
  'forty words and a phrase that none has': [{ all: [...words.slice(0, 40).map(text), text('w50 w40')] }, () => false],
  'without any of twenty words': [
    { all: [[{ kind: 'language', value: 'en' }], text('w59')], none: words.slice(0, 20).flatMap(text) },
    () => false,
  ],
  'with fifty words, without one': [{ all: words.slice(0, 50).map(text), none: text('w55') }, (lacks) => lacks === 55],
};

it.each([3_000_000, 1])(
  'queries of many terms look few of them up, and find the same (windows from %i posts on)',
  (rowsOfTerm) => {
    search = new SearchHarness(1, 1, { clock, rowsOfTerm });
    const lacksByUri = writeWords(400);
    for (const [name, [query, isFound]] of Object.entries(forms)) {
      for (const sort of ['latest', 'top'] as const) {
        const untilMs = search.network.timeMs + 1;
        const ask = (after: SearchPosition | null): SearchAnswer => {
          const { answer, looks, us } = counted(() => search.posts('', { ...query, sort, untilMs, after }));
          expect(us, name).toBeLessThan(workUsMax);
          // A statement looks up few terms; there are some probes and windows, in each table.
          if (rowsOfTerm > 1) expect(looks, name).toBeLessThan(500);
          return answer;
        };
        const expected = [...lacksByUri].filter(([, lacks]) => isFound(lacks)).map(([uri]) => uri);
        const found = search.all(ask);
        expect(new Set(found).size, name).toBe(found.length);
        if (sort === 'latest') expect(found.sort(), name).toEqual(expected.sort());
        // Cut short, it shows the best of what it has seen.
        else expect(expected, name).toEqual(expect.arrayContaining(found));
      }
    }
  },
);

it('a query of posts that may not be shown ends by the records it looks at, and its pages go on', () => {
  search = new SearchHarness(1, 1, { clock, rowsOfTerm: 3_000_000 });
  const { network } = search;
  const [gone, there] = [didOf('gone'), didOf('there')];
  network.profile(gone, 'gone.test');
  network.profile(there, 'there.test');
  const records = (from: number, count: number) =>
    Array.from({ length: count }, (_unused, index) => ({
      text: 'word',
      createdAt: new Date(network.timeMs - (from + index) * 1_000).toISOString(),
    }));
  for (let from = 0; from < 6_000; from += 500)
    network.putAll(gone, post, records(from, 500), (index) => `r${from + index}`);
  const shown = network.putAll(there, post, records(86_400, 3), (index) => `s${index}`);
  network.account(gone, false, 'deactivated');
  search.settle();
  const followed = Array.from({ length: 2_500 }, (_unused, index) => (index === 0 ? there : numberedDid(index)));
  const queries: readonly Partial<PostQuery>[] = [{}, { sort: 'top' }, { followed }];
  for (const query of queries) {
    let pages = 0;
    const found = search.all((after) => {
      const { answer, us } = counted(() =>
        search.posts('word', { ...query, untilMs: network.timeMs, after, limit: 10 }),
      );
      expect(us).toBeLessThan(workUsMax);
      pages++;
      return answer;
    });
    if (query.sort === 'top') continue;
    expect(found.sort()).toEqual([...shown].sort());
    if (query.followed === undefined) expect(pages).toBeGreaterThan(1);
  }
});

it('actors are looked up by few of many words, and found by all of them', () => {
  search = new SearchHarness(1, 1, { clock, rowsOfTerm: 3_000_000 });
  const { network } = search;
  const others = Array.from({ length: 30 }, (_unused, index) => numberedDid(index));
  for (const [index, did] of others.entries()) {
    network.identity(did, `a${index}.test`);
    const description = words.filter((_word, at) => index % 3 === 0 || at !== index).join(' ');
    network.put(did, 'app.bsky.actor.profile', { displayName: 'x', description, createdAt: network.now }, 'self');
  }
  const named = didOf('named');
  const name = [...letters].slice(0, 24).join(' ');
  network.identity(named, 'named.test');
  network.put(named, 'app.bsky.actor.profile', { displayName: name, createdAt: network.now }, 'self');
  search.settle();
  const ask = (query: Pick<NamedQuery, 'text' | 'isTypeahead'>): string[] =>
    search.all((after) => {
      const { answer, looks, us } = counted(() => search.reader.find({ kind: 'actors', limit: 7, ...query, after }));
      expect(us).toBeLessThan(workUsMax);
      expect(looks).toBeLessThan(100);
      return answer;
    });
  const whole = others.filter((_did, index) => index % 3 === 0);
  expect(ask({ text: words.join(' '), isTypeahead: false }).sort()).toEqual(whole.sort());
  expect(ask({ text: words.join(' '), isTypeahead: true })).toEqual([]);
  expect(ask({ text: name, isTypeahead: true })).toEqual([named]);
  expect(ask({ text: `${name} z`, isTypeahead: true })).toEqual([]);
  expect(ask({ text: name, isTypeahead: false })).toEqual([named]);
});

it('a token with any number for a rank is a page', () => {
  search = new SearchHarness(1, 1, { clock, rowsOfTerm: 3_000_000 });
  writeWords(3);
  for (const rank of [0.5, 2 ** 37 + 0.5, 1e300, -1e300]) {
    const after = { rank, key: 'x' };
    for (const sort of ['latest', 'top'] as const)
      expect(search.posts('w1', { sort, after }).hits.length).toBeLessThan(4);
    expect(search.reader.find({ kind: 'actors', text: 'w1', isTypeahead: false, after, limit: 3 }).hits).toEqual([]);
  }
});

/** Queries of words that all posts have, or that come in turns and never meet. */
const turns: Readonly<Record<string, [string, (index: number) => boolean]>> = {
  'two words in turns, but for some': ['even odd', (index) => index < 20 || index === 300],
  'three words in turns': ['turn0 turn1 turn2', () => false],
  'words that meet in one post': ['always even odd once', (index) => index === 300],
  'a phrase of words of all': ['"beyond behind"', () => false],
  'a phrase of words that met at first': ['"odd even"', (index) => index < 20 || index === 300],
  'a phrase of words that met at first, the wrong way': ['"even odd"', () => false],
  'words that a phrase is not to have': [
    'even -"beyond behind" -"odd even"',
    (index) => index % 2 === 0 && index >= 20 && index !== 300,
  ],
  'a rare word and a phrase in turns': ['once "odd even"', (index) => index === 300],
  'words that were rare at first': ['early late', () => false],
};

it('no statement may walk more rows than a window has, with words that hardly ever meet', () => {
  const rowsOfTerm = 120;
  search = new SearchHarness(1, 1, { clock, rowsOfTerm });
  const { network } = search;
  const textOf = (index: number): string => {
    const either = index < 20 || index === 300 ? 'odd even' : index % 2 === 0 ? 'even' : 'odd';
    const later = index < 400 ? '' : index % 2 === 0 ? 'early' : 'late';
    return `always ${either} turn${index % 3} behind always beyond ${later} ${index === 300 ? 'once' : ''}`;
  };
  const records = Array.from({ length: 1_200 }, (_unused, index) => ({
    text: textOf(index),
    createdAt: new Date(network.timeMs - index * 8_000).toISOString(),
  }));
  const uris = network.putAll(didOf('alice'), post, records, (index) => `r${index}`);
  search.settle();
  const { work } = search.reader;
  for (const [name, [query, isFound]] of Object.entries(turns)) {
    const found = search.all((after) => {
      work.walkedMax = 0;
      const answer = search.posts(query, { untilMs: network.timeMs + 1, after });
      // Five terms and a window's, each of no more posts than a window of one term has.
      expect(work.walkedMax, name).toBeLessThanOrEqual(6 * rowsOfTerm);
      return answer;
    });
    expect(found.sort(), name).toEqual(uris.filter((_uri, index) => isFound(index)).sort());
    search.posts(query, { sort: 'top', untilMs: network.timeMs + 1 });
    expect(work.walkedMax, name).toBeLessThanOrEqual(6 * rowsOfTerm);
  }
});

it('no statement may walk more actors than a window has, and a long beginning is no exception', () => {
  const rowsOfTerm = 40;
  search = new SearchHarness(1, 1, { clock, rowsOfTerm });
  const { network } = search;
  const dids = Array.from({ length: 300 }, (_unused, index) => numberedDid(index));
  for (const [index, did] of dids.entries()) {
    network.identity(did, `commonbeginning${index}.test`);
    const either = index === 7 ? 'even odd' : index % 2 === 0 ? 'even' : 'odd';
    const record = { displayName: `always ${either}`, description: index % 3 === 0 ? 'third' : '' };
    network.put(did, 'app.bsky.actor.profile', { ...record, createdAt: network.now }, 'self');
  }
  search.settle();
  const { work } = search.reader;
  const ask = (text: string, isTypeahead: boolean): string[] =>
    search.all((after) => {
      work.walkedMax = 0;
      const { answer, us } = counted(() => search.reader.find({ kind: 'actors', limit: 7, text, isTypeahead, after }));
      expect(work.walkedMax, text).toBeLessThanOrEqual(3 * rowsOfTerm);
      expect(us, text).toBeLessThan(workUsMax);
      return answer;
    });
  for (const isTypeahead of [false, true]) {
    expect(ask('even odd', isTypeahead)).toEqual([dids[7]]);
    expect(ask('odd commonbeginning7', isTypeahead).sort()).toEqual(
      dids.filter((_did, index) => /^7/.test(String(index)) && (index % 2 === 1 || index === 7)).sort(),
    );
    expect(ask('commonbeginning29', isTypeahead).length).toBe(11);
    expect(ask('commonbeginningx', isTypeahead)).toEqual([]);
  }
  expect(ask('even third', false).length).toBe(50);
  expect(ask('even third', true)).toEqual([]);
});
