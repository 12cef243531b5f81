/** Windows of a walk hold all posts, each once, and bear the term of all that they hold. */
import { expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { idsPerSpan } from '../../../src/search/index-file.ts';
import { PostWindows, type Span, windowTerms } from '../../../src/search/post-windows.ts';
import { Budget, Work } from '../../../src/search/windows.ts';

const firstBucket = 100_000;

/** Spans with gaps of all lengths between them. */
function someSpans(seed: number, rowsMax: number): Span[] {
  const random = seededRandom(seed);
  const spans: Span[] = [];
  for (let bucket = firstBucket; spans.length < 400; bucket += 1 + Math.floor(2_000 * random.next() ** 12))
    spans.push({ bucket, rows: 1 + random.below(rowsMax) });
  return spans;
}

type Walked = { readonly from: number; readonly end: number; readonly term: string | null };

/** Walks to the end, where a row costs so much and each window besides. */
function walk(spans: readonly Span[], usPerRow: number, terms: number): Walked[] {
  let ms = 0;
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => ms, sleep: async () => {} };
  const spansFrom = (bucket: number, limit: number): Span[] =>
    spans.filter((span) => span.bucket >= bucket).slice(0, limit);
  const total = (): number => spans.reduce((sum, { rows }) => sum + rows, 0);
  const windows = new PostWindows({ spansFrom, total }, terms, new Budget(clock, new Work(), 20));
  const walked: Walked[] = [];
  let from = firstBucket * idsPerSpan.post + 12_345;
  for (let window = windows.begin(from, Number.MAX_SAFE_INTEGER); window !== null; ) {
    walked.push(window);
    ms += terms * 0.1 + (rowsIn(spans, window) * usPerRow) / 1_000;
    windows.end();
    from = window.end;
    window = windows.begin(from, Number.MAX_SAFE_INTEGER);
  }
  return walked;
}

function rowsIn(spans: readonly Span[], { from, end }: Walked): number {
  return spans.reduce((sum, { bucket, rows }) => {
    const start = bucket * idsPerSpan.post;
    const overlap = Math.max(0, Math.min(end, start + idsPerSpan.post) - Math.max(from, start));
    return sum + (rows * overlap) / idsPerSpan.post;
  }, 0);
}

it.each([1, 2, 3])('hold every post once, and all of them have the term (seed %i)', (seed) => {
  const spans = someSpans(seed, 100_000);
  const walked = walk(spans, 0.02, 3);
  const all = spans.reduce((sum, { rows }) => sum + rows, 0);
  const found = walked.reduce((sum, window) => sum + rowsIn(spans, window), 0);
  // The walk begins a little within the first.
  expect(found).toBeGreaterThan(all - spans[0]!.rows);
  expect(found).toBeLessThanOrEqual(all + 1);
  for (const [index, { from, end, term }] of walked.entries()) {
    expect(from).toBeGreaterThanOrEqual(walked[index - 1]?.end ?? 0);
    for (const id of term === null ? [] : [from, end - 1]) expect(windowTerms(id).split(' ')).toContain(term);
  }
});

it('are shorter where there are more posts, and where a post costs more', () => {
  const count = (rowsMax: number, usPerRow: number): number => walk(someSpans(1, rowsMax), usPerRow, 3).length;
  expect(count(100, 0.02)).toBe(1);
  expect(count(1_000_000, 0.02)).toBeGreaterThan(count(10_000, 0.02));
  expect(count(10_000, 2)).toBeGreaterThan(count(10_000, 0.002));
});

it('cost about what they may, after the first', () => {
  const spans = someSpans(2, 50_000);
  for (const usPerRow of [0.005, 0.05, 0.5]) {
    const costs = walk(spans, usPerRow, 2).map((window) => (rowsIn(spans, window) * usPerRow) / 1_000);
    for (const ms of costs.slice(1)) expect(ms).toBeLessThan(20);
  }
});
