/** Windows of a walk hold all posts, each once, and bear the term of all that they hold. */
import { expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { idsPerSpan } from '../../../src/search/index-file.ts';
import {
  type PostWindow,
  PostWindows,
  type RareWord,
  type Span,
  windowTerms,
} from '../../../src/search/post-windows.ts';
import { Budget, Work } from '../../../src/search/windows.ts';

const firstBucket = 100_000;

/** Spans with gaps of all lengths between them. */
function someSpans(seed: number, rowsMax: number): Span[] {
  const random = seededRandom(seed);
  const spans: Span[] = [];
  for (let bucket = firstBucket; spans.length < 150; bucket += 1 + Math.floor(2_000 * random.next() ** 12))
    spans.push({ bucket, rows: 1 + random.below(rowsMax) });
  return spans;
}

type Walked = PostWindow & { readonly rows: number };

/** Walks to the end, where a row costs so much and each window besides. */
function walk(
  spans: readonly Span[],
  usPerRow: number,
  terms: number,
  rareFrom: (from: number) => RareWord | null = () => null,
): Walked[] {
  let ms = 0;
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => ms, sleep: async () => {} };
  const spansFrom = (bucket: number, limit: number): Span[] =>
    spans.filter((span) => span.bucket >= bucket).slice(0, limit);
  const total = (): number => spans.reduce((sum, { rows }) => sum + rows, 0);
  const windows = new PostWindows({ spansFrom, total }, terms, new Budget(clock, new Work(), 20), rareFrom);
  const walked: Walked[] = [];
  let from = firstBucket * idsPerSpan.post + 12_345;
  for (let window = windows.begin(from, Number.MAX_SAFE_INTEGER); window !== null; ) {
    walked.push({ ...window, rows: windows.rows });
    ms += terms * 0.1 + (rowsIn(spans, window) * usPerRow) / 1_000;
    windows.end();
    from = window.end;
    window = windows.begin(from, Number.MAX_SAFE_INTEGER);
  }
  return walked;
}

function rowsIn(spans: readonly Span[], { from, end }: Pick<Walked, 'end' | 'from'>): number {
  return spans.reduce((sum, { bucket, rows }) => {
    const start = bucket * idsPerSpan.post;
    const overlap = Math.max(0, Math.min(end, start + idsPerSpan.post) - Math.max(from, start));
    return sum + (rows * overlap) / idsPerSpan.post;
  }, 0);
}

it.each([1, 2, 3])('hold every post once, and all of them have the term (seed %i)', (seed) => {
  const spans = someSpans(seed, 40_000);
  const walked = walk(spans, 0.02, 3);
  const all = spans.reduce((sum, { rows }) => sum + rows, 0);
  const found = walked.reduce((sum, window) => sum + rowsIn(spans, window), 0);
  // The walk begins a little within the first.
  expect(found).toBeGreaterThan(all - spans[0]!.rows);
  expect(found).toBeLessThanOrEqual(all + 1);
  for (const [index, { from, end, anchors }] of walked.entries()) {
    expect(from).toBeGreaterThanOrEqual(walked[index - 1]?.end ?? 0);
    expect(
      [from, end - 1].every((id) => windowTerms(id).split(' ').includes(anchors[0]!)),
      `${from} to ${end}`,
    ).toBe(true);
  }
});

it('have few posts, however many there are in a moment, and one without a term has all', () => {
  expect(walk(someSpans(1, 90), 0.02, 3)).toEqual([expect.objectContaining({ anchors: [] })]);
  for (const rowsMax of [1_000, 50_000, idsPerSpan.post]) {
    for (const terms of [2, 12]) {
      const walked = walk(someSpans(1, rowsMax), 0.001, terms);
      // The shortest has no more than it has ids.
      const most = Math.max(...walked.map(({ rows }) => rows));
      expect(most).toBeLessThanOrEqual(Math.max(80_000 / terms, 2 ** 14));
    }
  }
});

it('are shorter where a post costs more', () => {
  const count = (usPerRow: number): number => walk(someSpans(1, 10_000), usPerRow, 3).length;
  expect(count(2)).toBeGreaterThan(count(0.002));
});

it('reach as far as a word has few posts, which is seldom asked of words that have many', () => {
  const spans = someSpans(2, 50_000);
  const [first, last] = [spans[0]!, spans.at(-1)!].map(({ bucket }) => bucket * idsPerSpan.post) as [number, number];
  const middle = Math.floor((first + last) / 2);
  let asked = 0;
  const rareFrom = (from: number): RareWord => {
    asked++;
    return from < middle ? { word: 'rare', end: from + 1 } : { word: 'rare', end: Number.MAX_SAFE_INTEGER };
  };
  const walked = walk(spans, 0.001, 2, rareFrom);
  const isRare = ({ anchors }: Walked): boolean => anchors[0] === 'rare';
  expect(walked.filter(isRare)).toEqual([walked.at(-1)]);
  expect(Math.max(...walked.filter((window) => !isRare(window)).map(({ from }) => from))).toBeLessThan(last);
  expect(asked).toBeLessThan(Math.log2(walked.length) + 2);
});
