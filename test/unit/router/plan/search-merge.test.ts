/** Pages over several nodes lose and repeat nothing, wherever nodes stop. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/base/seeded-random.ts';
import { mergeSearch } from '../../../../src/router/plan/search-merge.ts';
import {
  compareHits,
  type SearchAnswer,
  type SearchHit,
  type SearchPosition,
} from '../../../../src/wire/search-messages.ts';

/** Answers as a node does that stops after some hits, or somewhere between two. */
function answerOf(hits: readonly SearchHit[], after: SearchPosition | null, limit: number, stop: number): SearchAnswer {
  const rest = hits.filter((hit) => after === null || compareHits(hit, after) > 0);
  const some = rest.filter(({ rank }) => rank < stop).slice(0, limit);
  if (some.length === rest.length) return { hits: some, reached: null, isComplete: true };
  const reached = some.length === limit ? some.at(-1)! : { rank: stop - 1, key: '\uffff' };
  return { hits: some, reached, isComplete: false };
}

describe('hits of several nodes', () => {
  it.each([1, 2, 3, 4, 5])('come once each and in order, wherever nodes stop (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const nodes = Array.from({ length: 3 }, (_unused, node) =>
      Array.from({ length: 30 }, (_other, at) => ({ rank: random.below(40), key: `${node}-${at}` })).sort(compareHits),
    );
    const found: SearchHit[] = [];
    let after: SearchPosition | null = null;
    for (let page = 0; ; page++) {
      expect(page).toBeLessThan(500);
      const from: number = after?.rank ?? -1;
      const answers = nodes.map((hits) => answerOf(hits, after, 7, from + 2 + random.below(9)));
      const merged = mergeSearch(answers, 7);
      expect(merged.hits.length).toBeLessThanOrEqual(7);
      found.push(...merged.hits);
      if (merged.after === null) break;
      if (after !== null) expect(compareHits(merged.after, after)).toBeGreaterThan(0);
      after = merged.after;
    }
    expect(found).toEqual(nodes.flat().sort(compareHits));
  });

  it('are all only if every node says so', () => {
    const hits = [{ rank: 1, key: 'a' }];
    const all = { hits, reached: null, isComplete: true };
    expect(mergeSearch([all, all], 5)).toMatchObject({ after: null, isComplete: true });
    expect(mergeSearch([all, { ...all, isComplete: false }], 5)).toMatchObject({ after: null, isComplete: false });
    expect(mergeSearch([all, all], 1)).toMatchObject({ hits, isComplete: false });
    expect(mergeSearch([], 5)).toEqual({ hits: [], after: null, isComplete: true });
  });
});
