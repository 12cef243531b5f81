/**
 * Finds posts: the newest, or those of the highest score among bounded candidates.
 *
 * Owns: that no query costs more than its budget, whatever it asks for and however large the index
 * is. `latest` that is cut short says how far it came. `top` scores the newest of each table and,
 * cut short, those of them that it has seen. bm25 and count(*) are never used: both walk every
 * posting of a word.
 */
import {
  afterAllKeys,
  compareHits,
  firstRankAfter,
  type PostQuery,
  type SearchAnswer,
  type SearchHit,
} from '../wire/search-messages.ts';
import { postTables } from './index-file.ts';
import { type DocRow, PostWalk, type PostWalkParts, type Walk } from './post-walk.ts';
import { ageOfId, idsOfTime, levelOf, postIdAt, postIdsEnd, scoreOf, termCountOf, topCandidates } from './rank.ts';
import { Budget } from './windows.ts';

/** What a query may cost, but for what a statement under way takes beyond it. Units: ms. */
export const searchBudgetMs = 20;
/** Of it, what `top` may spend on the newest posts, so that the liked ones are looked at too. */
const newestShareMs = 12;
/** What `top` may spend on what it shows, at least. */
const showBudgetMs = 4;
/** Rows that are read at a time where nearly all are shown. */
const rowsPerRead = 64;
function nothing(): SearchAnswer {
  return { hits: [], reached: null, isComplete: true };
}

export class PostSearch {
  readonly #parts: PostWalkParts;
  readonly #walk: PostWalk;

  constructor(parts: PostWalkParts) {
    this.#parts = parts;
    this.#walk = new PostWalk(parts);
  }

  #budget(budgetMs: number): Budget {
    return new Budget(this.#parts.clock, this.#parts.work, budgetMs);
  }

  /** Errors: DataPlaneError `InvalidArgument` for too many terms; those of SQLite. */
  find(query: PostQuery): SearchAnswer {
    const budget = this.#budget(searchBudgetMs);
    const walk = this.#walk.plan(query, this.#idsOf(query));
    if (walk === null) return nothing();
    if (query.sort === 'latest') return this.#latest(query, walk, budget);
    return this.#top(query, walk, budget);
  }

  /** The ids that a query's times allow; those that share a sort time are a little further on. */
  #idsOf({ sinceMs, untilMs }: PostQuery): { readonly from: number; readonly to: number } {
    return { from: postIdAt(untilMs - 1), to: sinceMs === null ? postIdsEnd : postIdAt(sinceMs) + idsOfTime };
  }

  #keyOf(id: number): Uint8Array {
    return this.#parts.sql.get<{ k: Uint8Array }>('SELECT k FROM doc WHERE id = ?', BigInt(id))!.k;
  }

  #liveHit(query: PostQuery, { id, k }: DocRow): SearchHit | undefined {
    this.#parts.work.records++;
    const found = this.#parts.live.post(k ?? this.#keyOf(id));
    if (found === undefined) return undefined;
    const { name, sortMs } = found;
    if (sortMs >= query.untilMs || (query.sinceMs !== null && sortMs < query.sinceMs)) return undefined;
    return { rank: id, key: name };
  }

  #latest(query: PostQuery, walk: Walk, budget: Budget): SearchAnswer {
    const { after, limit } = query;
    const hits: SearchHit[] = [];
    const { from, to } = this.#idsOf(query);
    const range = {
      from: Math.max(from, firstRankAfter(after)),
      to,
      limit: Math.min(rowsPerRead, limit + 4),
      hasKeys: true,
    };
    const end = this.#walk.run('post0', walk, range, budget, (row) => {
      const hit = this.#liveHit(query, row);
      if (hit !== undefined && (after === null || compareHits(hit, after) > 0)) hits.push(hit);
      return hits.length < limit;
    });
    if (end === null) return { hits, reached: null, isComplete: true };
    const reached = hits.length === limit ? hits.at(-1)! : { rank: end - 1, key: afterAllKeys };
    return { hits, reached, isComplete: false };
  }

  /**
   * Returns the newest of each table; further ones only if there are more than enough newer.
   * `isComplete`: these are all.
   */
  #candidates(
    query: PostQuery,
    walk: Walk,
    whole: Budget,
  ): { readonly found: Map<number, DocRow>; readonly isComplete: boolean } {
    const found = new Map<number, DocRow>();
    // Few of them are shown, and keys are most of what reading a row costs.
    const range = { ...this.#idsOf(query), limit: topCandidates, hasKeys: false };
    for (const [tier, table] of postTables.entries()) {
      if (tier > 0 && whole.isSpent) break;
      let count = 0;
      const budget = tier === 0 ? this.#budget(newestShareMs) : whole;
      const end = this.#walk.run(table, walk, range, budget, (row) => {
        found.set(row.id, row);
        return ++count < topCandidates;
      });
      // All that there are have been seen.
      if (tier === 0 && end === null && count < topCandidates) return { found, isComplete: true };
    }
    return { found, isComplete: false };
  }

  #top(query: PostQuery, walk: Walk, whole: Budget): SearchAnswer {
    const { after, limit, untilMs } = query;
    const { found, isComplete } = this.#candidates(query, walk, whole);
    const scored = [...found.values()].map((row) => ({
      row,
      rank: -scoreOf(levelOf(row.w), termCountOf(row.w), ageOfId(row.id, untilMs)),
    }));
    scored.sort((one, other) => one.rank - other.rank || one.row.id - other.row.id);
    const hits: SearchHit[] = [];
    const budget = this.#budget(showBudgetMs);
    let passed: number | null = null;
    for (const { row, rank } of scored) {
      if (after !== null && rank < after.rank) continue;
      // Those of one score come by their URIs.
      if (hits.length >= limit && rank > hits.at(-1)!.rank) break;
      // Many candidates may be gone, or be another node's to show.
      if (passed !== null && rank > passed && whole.isSpent && budget.isSpent) {
        const shown = hits.sort(compareHits).slice(0, limit);
        const reached = shown.length === limit ? shown.at(-1)! : { rank: passed, key: afterAllKeys };
        return { hits: shown, reached, isComplete: false };
      }
      passed = rank;
      const shown = this.#liveHit(query, row);
      const hit = shown && { rank, key: shown.key };
      if (hit !== undefined && (after === null || compareHits(hit, after) > 0)) hits.push(hit);
    }
    const sorted = hits.sort(compareHits).slice(0, limit);
    const isEnd = sorted.length < limit;
    return { hits: sorted, reached: isEnd ? null : sorted.at(-1)!, isComplete: isEnd && isComplete };
  }
}
