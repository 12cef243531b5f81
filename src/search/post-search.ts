/**
 * Finds posts: the newest, or those of the highest score among bounded candidates.
 *
 * Owns: that no query costs more than its budget, whatever it asks for and however large the index
 * is. `latest` that is cut short says how far it came. `top` scores the newest of each table and,
 * cut short, those of them that it has seen. bm25 and count(*) are never used: both walk every
 * posting of a word.
 */
import type { Clock } from '../base/clock.ts';
import { compareHits, type PostQuery, type SearchAnswer, type SearchHit } from '../wire/search-messages.ts';
import { decodeDocKey } from './doc-key.ts';
import { authorTerm } from './filter-terms.ts';
import { postTables, type Statements } from './index-file.ts';
import type { LiveSlots } from './live-slots.ts';
import { type PostExpression, postExpression, withinWindow } from './match-expression.ts';
import { type PostCounts, type PostWindow, PostWindows } from './post-windows.ts';
import { ageOfId, idsOfTime, levelOf, postIdAt, postIdsEnd, scoreOf, termCountOf, topCandidates } from './rank.ts';
import { Budget } from './windows.ts';

/** What a query may cost. Units: ms. */
export const searchBudgetMs = 20;
/** Of it, what `top` may spend on the newest posts, so that the liked ones are looked at too. */
const newestShareMs = 12;
/** Followed authors up to which the index is asked for each; more are looked up by post. */
const followedTermsMax = 48;
/** Followed authors up to which each is looked up before the posts, and not only theirs. */
const followedOwnersMax = 2_000;
/** Rows that are read at a time where not all are shown. */
const rowsPerRead = 64;
/** After every key: the end of a row id that is passed. */
const afterAllKeys = '\uffff';

/** A row that is read without its key has none. */
type DocRow = { readonly id: number; readonly w: number; readonly k?: Uint8Array };

/** Ids from `from` to `to` (exclusive), at most `limit` at a time; with keys or without. */
type IdRange = { readonly from: number; readonly to: number; readonly limit: number };
type Range = IdRange & { readonly hasKeys: boolean };

export type PostSearchParts = {
  readonly sql: Statements;
  readonly live: LiveSlots;
  readonly counts: PostCounts;
  readonly clock: Clock;
};

/** A query as it is walked: an expression, and a filter of what that finds. */
type Walk = PostExpression & { readonly isWanted: ((k: Uint8Array) => boolean) | null };

function nothing(): SearchAnswer {
  return { hits: [], reached: null, isComplete: true };
}

export class PostSearch {
  readonly #parts: PostSearchParts;

  constructor(parts: PostSearchParts) {
    this.#parts = parts;
  }

  /** Errors: DataPlaneError `InvalidArgument` for too many terms; those of SQLite. */
  find(query: PostQuery): SearchAnswer {
    const budget = new Budget(this.#parts.clock, searchBudgetMs);
    const walk = this.#walkOf(query);
    if (walk === null) return nothing();
    if (query.sort === 'latest') return this.#latest(query, walk, budget);
    return this.#parts.sql.inSnapshot(() => this.#top(query, walk, budget));
  }

  #walkOf({ all, none, followed }: PostQuery): Walk | null {
    const { live } = this.#parts;
    const ownerOf = (did: string) => live.ownerOf(did);
    const expression = postExpression({ all, none }, ownerOf);
    if (expression === null || followed === null) return expression && { ...expression, isWanted: null };
    if (followed.length > followedOwnersMax) return { ...expression, isWanted: this.#isBy(new Set(followed)) };
    const owners = followed.flatMap((did) => ownerOf(did) ?? []);
    if (owners.length === 0) return null;
    if (owners.length <= followedTermsMax) {
      const any = owners.map(({ key, owner }) => `"${authorTerm(key, owner)}"`).join(' OR ');
      const { wanted, words, terms } = expression;
      return {
        ...expression,
        wanted: `(${any}) AND ${wanted}`,
        words: words && `(${any}) AND ${words}`,
        terms: terms + owners.length,
        isPlain: false,
        isWanted: null,
      };
    }
    const wanted = new Set(owners.map(({ key, owner }) => authorTerm(key, owner)));
    const isWanted = (k: Uint8Array): boolean => {
      const { key, owner } = decodeDocKey(k);
      return wanted.has(authorTerm(key, owner));
    };
    return { ...expression, isWanted };
  }

  /** Returns a filter that looks up the author of each post once. */
  #isBy(dids: ReadonlySet<string>): (k: Uint8Array) => boolean {
    const isWantedByAuthor = new Map<string, boolean>();
    return (k) => {
      const { key, owner } = decodeDocKey(k);
      const author = authorTerm(key, owner);
      let isWanted = isWantedByAuthor.get(author);
      if (isWanted === undefined) {
        isWanted = dids.has(this.#parts.live.actor(k)?.name ?? '');
        isWantedByAuthor.set(author, isWanted);
      }
      return isWanted;
    };
  }

  /**
   * Returns where a window begins to have posts with all words of the phrases; null for nowhere.
   * FTS5 looks for them beyond the window, where a phrase is asked for at once.
   */
  #firstWithWords(table: string, { words, excluded }: Walk, { from, end, term }: PostWindow): number | null {
    if (words === null || term === null) return from;
    const match = withinWindow({ wanted: words, excluded }, term);
    const sql = `SELECT rowid AS id FROM ${table} WHERE ${table} MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid LIMIT 1`;
    return this.#parts.sql.get<{ id: number }>(sql, match, BigInt(from), BigInt(end))?.id ?? null;
  }

  /** Returns rows of a table within [from, to), newest first. */
  #rows(table: string, match: string, columns: string, { from, to, limit }: IdRange): DocRow[] {
    // The words' table is walked, and the other looked up: not the other way round.
    const sql = `SELECT ${columns} FROM ${table} CROSS JOIN doc ON doc.id = ${table}.rowid
      WHERE ${table} MATCH ? AND ${table}.rowid >= ? AND ${table}.rowid < ? ORDER BY ${table}.rowid LIMIT ?`;
    return this.#parts.sql.all<DocRow>(sql, match, BigInt(from), BigInt(to), BigInt(limit));
  }

  /**
   * Walks a table from new to old, until `take` has had enough or the budget is spent.
   *
   * Returns: the id up to which it walked (exclusive), or null at the end.
   */
  #walk(table: string, walk: Walk, range: Range, budget: Budget, take: (row: DocRow) => boolean): number | null {
    const { isWanted, isPlain, terms } = walk;
    const windows = isPlain ? null : new PostWindows(this.#parts.counts, terms, budget);
    const columns = range.hasKeys || isWanted !== null ? 'doc.id, doc.w, doc.k' : 'doc.id, doc.w';
    const limit = isWanted === null ? range.limit : rowsPerRead * 4;
    let { from } = range;
    while (from < range.to) {
      const window = windows === null ? { from, end: range.to, term: null } : windows.begin(from, range.to);
      if (window === null) return null;
      const { end } = window;
      const start = this.#firstWithWords(table, walk, window);
      const match = withinWindow(walk, window.term);
      const rows = start === null ? [] : this.#rows(table, match, columns, { from: start, to: end, limit });
      const costMs = windows?.end() ?? 0;
      for (const row of rows) {
        if ((isWanted === null || isWanted(row.k!)) && !take(row)) return row.id + 1;
      }
      from = rows.length < limit ? end : rows.at(-1)!.id + 1;
      // With many terms, a window costs much however few rows it has.
      if (!budget.allows(costMs) && from < range.to) return from;
    }
    return null;
  }

  /** The ids that a query's times allow; those that share a sort time are a little further on. */
  #idsOf({ sinceMs, untilMs }: PostQuery): { readonly from: number; readonly to: number } {
    return { from: postIdAt(untilMs - 1), to: sinceMs === null ? postIdsEnd : postIdAt(sinceMs) + idsOfTime };
  }

  #keyOf(id: number): Uint8Array {
    return this.#parts.sql.get<{ k: Uint8Array }>('SELECT k FROM doc WHERE id = ?', BigInt(id))!.k;
  }

  #liveHit(query: PostQuery, { id, k }: DocRow): SearchHit | undefined {
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
      from: Math.max(from, after?.rank ?? 0),
      to,
      limit: Math.min(rowsPerRead, limit + 4),
      hasKeys: true,
    };
    const end = this.#walk('post0', walk, range, budget, (row) => {
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
      const budget = tier === 0 ? new Budget(this.#parts.clock, newestShareMs) : whole;
      const end = this.#walk(table, walk, range, budget, (row) => {
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
    for (const { row, rank } of scored) {
      if (after !== null && rank < after.rank) continue;
      // Those of one score come by their URIs.
      if (hits.length >= limit && rank > hits.at(-1)!.rank) break;
      const shown = this.#liveHit(query, row);
      const hit = shown && { rank, key: shown.key };
      if (hit !== undefined && (after === null || compareHits(hit, after) > 0)) hits.push(hit);
    }
    const sorted = hits.sort(compareHits).slice(0, limit);
    const isEnd = sorted.length < limit;
    return { hits: sorted, reached: isEnd ? null : sorted.at(-1)!, isComplete: isEnd && isComplete };
  }
}
