/**
 * Walks through the posts that a query asks for, from new to old, as far as a budget lasts.
 *
 * Owns: the order in which the index is asked for terms, and that each statement is bounded before
 * it begins, since SQLite cannot be interrupted from here.
 */
import type { Clock } from '../base/clock.ts';
import type { PostQuery } from '../wire/search-messages.ts';
import { decodeDocKey } from './doc-key.ts';
import { authorTerm } from './filter-terms.ts';
import type { Statements } from './index-file.ts';
import type { LiveSlots } from './live-slots.ts';
import { type Clause, isOfMany, matchOf, type PostExpression, postExpression } from './match-expression.ts';
import {
  type PostCounts,
  type PostWindow,
  PostWindows,
  type RareWord,
  rareRowsOf,
  windowRowsMax,
} from './post-windows.ts';
import { type Budget, recordsOf, type Work } from './windows.ts';

/** Followed authors up to which the index is asked for each; more are looked up by post. */
const followedTermsMax = 48;
/** Followed authors up to which each is looked up before the posts, and not only theirs. */
const followedOwnersMax = 2_000;
/** Rows that are read at a time where not all are shown. */
const rowsPerRead = 32;
/** Posts of a clause by which it is told how rare that is; with fewer, it needs no windows. */
const probedRows = 128;

/** A row that is read without its key has none. */
export type DocRow = { readonly id: number; readonly w: number; readonly k?: Uint8Array };

/** Ids from `from` to `to` (exclusive), at most `limit` at a time. */
export type IdRange = { readonly from: number; readonly to: number; readonly limit: number };
/** Rows with keys or without. */
export type RowRange = IdRange & { readonly hasKeys: boolean };

export type PostWalkParts = {
  readonly sql: Statements;
  readonly live: LiveSlots;
  readonly counts: PostCounts;
  readonly clock: Clock;
  readonly work: Work;
};

/** Tells by its key whether a post is wanted; null for all. */
type Filter = ((k: Uint8Array) => boolean) | null;

/** What is walked: clauses from the rarest to the most common, and a filter of what they find. */
export type Walk = Pick<PostExpression, 'excluded' | 'terms'> & {
  readonly clauses: readonly Clause[];
  /** Terms that bound each statement without windows; null if it must have some. */
  readonly anchors: readonly string[] | null;
  readonly isWanted: Filter;
};

function bothOf(one: Filter, other: Filter): Filter {
  if (one === null || other === null) return one ?? other;
  return (k) => one(k) && other(k);
}

export class PostWalk {
  readonly #parts: PostWalkParts;

  constructor(parts: PostWalkParts) {
    this.#parts = parts;
  }

  /**
   * Returns how a query is walked within ids; null if no post of this node can match.
   *
   * Errors: DataPlaneError `InvalidArgument` for too many terms; those of SQLite.
   */
  plan({ all, none, followed }: PostQuery, ids: Pick<IdRange, 'from' | 'to'>): Walk | null {
    const { live } = this.#parts;
    const expression = postExpression({ all, none }, (did) => live.ownerOf(did));
    const by = expression === null || followed === null ? null : this.#followedBy(followed);
    if (expression === null || (followed !== null && by === null)) return null;
    const authors = by?.clause ?? [];
    const clauses = authors.length === 0 ? expression.clauses : [authors, ...expression.clauses];
    const isMatch = (k: Uint8Array): boolean => this.#hasTerms(k, expression.isMatch);
    const { excluded, terms, isWhole } = expression;
    const walk = {
      excluded,
      terms: terms + authors.length,
      isWanted: bothOf(by?.isWanted ?? null, isWhole ? null : isMatch),
    };
    const isPlain = expression.isPlain && authors.length === 0;
    if (isPlain) return { ...walk, clauses, anchors: [] };
    return { ...walk, ...this.#byRarity(clauses, walk.terms, ids) };
  }

  /** Returns how posts of followed authors are found; null if none of these is here. */
  #followedBy(followed: readonly string[]): { readonly clause: Clause; readonly isWanted: Filter } | null {
    const { live } = this.#parts;
    if (followed.length > followedOwnersMax) return { clause: [], isWanted: this.#isBy(new Set(followed)) };
    const owners = followed.flatMap((did) => live.ownerOf(did) ?? []);
    const terms = owners.map(({ key, owner }) => authorTerm(key, owner));
    this.#parts.work.records += followed.length;
    if (terms.length === 0) return null;
    if (terms.length <= followedTermsMax) return { clause: terms.map((term) => [term]), isWanted: null };
    const wanted = new Set(terms);
    const isWanted = (k: Uint8Array): boolean => {
      const { key, owner } = decodeDocKey(k);
      return wanted.has(authorTerm(key, owner));
    };
    return { clause: [], isWanted };
  }

  /** Returns a filter that looks up the author of each post once. */
  #isBy(dids: ReadonlySet<string>): (k: Uint8Array) => boolean {
    const isWantedByAuthor = new Map<string, boolean>();
    return (k) => {
      const { key, owner } = decodeDocKey(k);
      const author = authorTerm(key, owner);
      let isWanted = isWantedByAuthor.get(author);
      if (isWanted === undefined) {
        this.#parts.work.records++;
        isWanted = dids.has(this.#parts.live.actor(k)?.name ?? '');
        isWantedByAuthor.set(author, isWanted);
      }
      return isWanted;
    };
  }

  /** Tells whether the record of a post has what is asked for now. */
  #hasTerms(k: Uint8Array, isMatch: (text: string) => boolean): boolean {
    const text = this.#parts.live.postTerms(k);
    this.#parts.work.records += recordsOf(text);
    return text !== undefined && isMatch(` ${text} `);
  }

  /** Orders clauses by how far back their newest posts reach, where that matters. */
  #byRarity(
    clauses: readonly Clause[],
    terms: number,
    ids: Pick<IdRange, 'from' | 'to'>,
  ): Pick<Walk, 'anchors' | 'clauses'> {
    const { counts } = this.#parts;
    if (clauses.length < 3 && counts.total() <= windowRowsMax(counts, terms)) return { clauses, anchors: null };
    const reaches = new Map(clauses.map((clause) => [clause, this.#rarestOf(clause, ids)]));
    const ordered = [...clauses].sort((one, other) => reaches.get(other)!.reach - reaches.get(one)!.reach);
    const { word, reach } = reaches.get(ordered[0]!)!;
    return { clauses: ordered, anchors: reach === Number.MAX_SAFE_INTEGER ? [word] : null };
  }

  /** Returns the word of a clause whose newest `probedRows` take up the most ids, and how many. */
  #rarestOf(
    clause: Clause,
    { from, to }: Pick<IdRange, 'from' | 'to'>,
  ): { readonly word: string; readonly reach: number } {
    // All alternatives would have to be looked up.
    if (clause.length > 1) return { word: '', reach: isOfMany(clause) ? 0 : to - from };
    const probed = Math.min(probedRows, this.#parts.counts.rowsOfTerm ?? probedRows);
    const words = clause[0]!.map((word) => {
      const end = this.#endOf(word, { from, to, limit: probed });
      return { word, reach: end === null ? Number.MAX_SAFE_INTEGER : end - from };
    });
    return words.reduce((rarest, other) => (other.reach > rarest.reach ? other : rarest));
  }

  /** Returns the id of the last of a word's first `limit` posts; null if it has fewer. */
  #endOf(word: string, { from, to, limit }: IdRange): number | null {
    const { sql, work } = this.#parts;
    const text = `SELECT rowid AS id FROM post0 WHERE post0 MATCH ? AND rowid >= ? AND rowid < ?
      ORDER BY rowid LIMIT 1 OFFSET ?`;
    const row = sql.get<{ id: number }>(text, `"${word}"`, BigInt(from), BigInt(to), BigInt(limit - 1));
    work.look(1, limit);
    return row?.id ?? null;
  }

  /** Returns the word of clauses that seems the rarest, and up to where it has few posts. */
  #rareFrom(clauses: readonly Clause[], from: number, to: number): RareWord | null {
    const asked = clauses.filter(({ length }) => length === 1);
    const rarest = asked.map((clause) => this.#rarestOf(clause, { from, to }));
    if (rarest.length === 0) return null;
    const { word } = rarest.reduce((one, other) => (other.reach > one.reach ? other : one));
    return { word, end: this.#endOf(word, { from, to, limit: rareRowsOf(this.#parts.counts) }) ?? to };
  }

  /** Returns rows of a table within [from, to), newest first. */
  #rows(table: string, match: string, columns: string, { from, to, limit }: IdRange): DocRow[] {
    // The words' table is walked, and the other looked up: not the other way round.
    const sql = `SELECT ${columns} FROM ${table} CROSS JOIN doc ON doc.id = ${table}.rowid
      WHERE ${table} MATCH ? AND ${table}.rowid >= ? AND ${table}.rowid < ? ORDER BY ${table}.rowid LIMIT ?`;
    const rows = this.#parts.sql.all<DocRow>(sql, match, BigInt(from), BigInt(to), BigInt(limit));
    this.#parts.work.rows += rows.length;
    return rows;
  }

  /** Returns rows of a window; fewer than `limit` only if there are no others. */
  #rowsOf(table: string, walk: Walk, { from, end, anchors }: PostWindow, { hasKeys, limit }: RowRange): DocRow[] {
    const { clauses, excluded, isWanted } = walk;
    const columns = hasKeys || isWanted !== null ? 'doc.id, doc.w, doc.k' : 'doc.id, doc.w';
    const match = matchOf(clauses, excluded, anchors);
    return this.#rows(table, match, columns, { from, to: end, limit });
  }

  /**
   * Walks a table from new to old, until `take` has had enough or the budget is spent.
   *
   * Returns: the id up to which it walked (exclusive), or null at the end.
   */
  run(table: string, walk: Walk, range: RowRange, budget: Budget, take: (row: DocRow) => boolean): number | null {
    const { isWanted, anchors, clauses, terms } = walk;
    const { counts, work } = this.#parts;
    const rareFrom = (from: number): RareWord | null => this.#rareFrom(clauses, from, range.to);
    const windows = anchors === null ? new PostWindows(counts, terms, budget, rareFrom) : null;
    const asked = isWanted === null ? range : { ...range, limit: rowsPerRead };
    let { from } = range;
    while (from < range.to) {
      const window = windows?.begin(from, range.to) ?? (anchors && { from, end: range.to, anchors });
      if (window === null) return null;
      const { end } = window;
      work.look(terms + 1, windows?.rows ?? probedRows);
      const rows = this.#rowsOf(table, walk, window, asked);
      const costMs = windows?.end() ?? 0;
      for (const row of rows) {
        if ((isWanted === null || isWanted(row.k!)) && !take(row)) return row.id + 1;
        // Each may have cost the reading of a record. One is always taken, so that pages go on.
        if (budget.isWorkSpent) return row.id + 1;
      }
      from = rows.length < asked.limit ? end : rows.at(-1)!.id + 1;
      // With many terms, a window costs much however few rows it has.
      if (!budget.allows(costMs) && from < range.to) return from;
    }
    return null;
  }
}
