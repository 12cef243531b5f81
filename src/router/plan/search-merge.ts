/** Merges the hits of nodes into a page, as far as all of them have come. */
import { compareHits, type SearchAnswer, type SearchHit, type SearchPosition } from '../../wire/search-messages.ts';

/** `after`: where the next page begins, null at the end. `isComplete`: no hit was left out. */
export type SearchPage = {
  readonly hits: readonly SearchHit[];
  readonly after: SearchPosition | null;
  readonly isComplete: boolean;
};

/** Merges; a hit beyond what some node has reached waits for the next page. */
export function mergeSearch(answers: readonly SearchAnswer[], limit: number): SearchPage {
  let reached: SearchPosition | null = null;
  for (const { reached: one } of answers) {
    if (one !== null && (reached === null || compareHits(one, reached) < 0)) reached = one;
  }
  const all = answers.flatMap(({ hits }) => hits).sort(compareHits);
  const known = reached === null ? all : all.filter((hit) => compareHits(hit, reached) <= 0);
  const hits = known.slice(0, limit);
  const isEnd = reached === null && hits.length === all.length;
  if (isEnd) return { hits, after: null, isComplete: answers.every(({ isComplete }) => isComplete) };
  const after = hits.length < known.length || reached === null ? hits.at(-1)! : reached;
  return { hits, after, isComplete: false };
}
