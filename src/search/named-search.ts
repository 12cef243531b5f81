/**
 * Finds actors, feeds and packs: by their names first, then by what they say of themselves, the
 * best known first in both.
 */
import { nsid } from '../atproto/collection.ts';
import type { Clock } from '../base/clock.ts';
import {
  afterAllKeys,
  compareHits,
  firstRankAfter,
  type NamedQuery,
  type SearchAnswer,
  type SearchHit,
} from '../wire/search-messages.ts';
import type { NamedKind, Statements } from './index-file.ts';
import type { LiveHit, LiveSlots } from './live-slots.ts';
import { type NamedExpression, namedExpressions } from './match-expression.ts';
import { type NamedWindow, namedWindow } from './named-windows.ts';
import { searchBudgetMs } from './post-search.ts';
import { rareRowsOf } from './post-windows.ts';
import type { NamedTerms } from './record-terms.ts';
import { Budget, type Ranges, recordsOf, type Work } from './windows.ts';

const kinds: Readonly<Record<NamedQuery['kind'], NamedKind>> = { actors: 'actor', feeds: 'feed', packs: 'pack' };
/** All row ids are below; a rank is the id, and this for hits that are not by name. */
const idsEnd = 2 ** 38;
/** Rows that are read at a time where their records tell which are shown. */
const rowsPerRead = 64;
/** Words of a query of which it is told whether they are rare. */
const probedWordsMax = 3;

type NamedRow = { readonly id: number; readonly k: Uint8Array };

export type NamedSearchParts = {
  readonly sql: Statements;
  readonly live: LiveSlots;
  readonly rangesOf: (kind: NamedKind) => Ranges;
  /** For tests: see PostCounts. */
  readonly rowsOfTerm?: number | undefined;
  readonly clock: Clock;
  readonly work: Work;
};

/** One of the two walks. `expression` is null for all rows. */
type Stage = {
  readonly base: number;
  readonly part: '_name' | '_text';
  readonly expression: NamedExpression | null;
  /** Tells by what a record says now if this walk is to find it; null if the index is enough. */
  readonly isWanted: ((terms: NamedTerms) => boolean) | null;
};

function held(terms: string): string {
  return ` ${terms} `;
}

/** Returns the walks of a query. */
function stagesOf({ text, isTypeahead, kind }: NamedQuery): Stage[] {
  const expressions = namedExpressions(text);
  const isAll = text.trim() === '' && kind !== 'actors';
  if (isAll) return [{ base: 0, part: '_name', expression: null, isWanted: null }];
  if (expressions === null) return [];
  const { name, text: said, isWhole } = expressions;
  const isByName = (terms: NamedTerms): boolean => name.isMatch(held(terms.name));
  // What has just got another name is by the index in both walks, or in none, until that follows.
  const byName = {
    base: 0,
    part: '_name',
    expression: name,
    isWanted: isTypeahead && isWhole ? null : isByName,
  } as const;
  if (isTypeahead) return [byName];
  const isWanted = (terms: NamedTerms): boolean => said.isMatch(held(terms.text)) && !isByName(terms);
  return [byName, { base: idsEnd, part: '_text', expression: said, isWanted }];
}

export class NamedSearch {
  readonly #parts: NamedSearchParts;

  constructor(parts: NamedSearchParts) {
    this.#parts = parts;
  }

  /** Errors: DataPlaneError `InvalidArgument` for too many terms; those of SQLite. */
  find(query: NamedQuery): SearchAnswer {
    const { after, limit } = query;
    const hits: SearchHit[] = [];
    const budget = new Budget(this.#parts.clock, this.#parts.work, searchBudgetMs);
    for (const stage of stagesOf(query)) {
      if (firstRankAfter(after) >= stage.base + idsEnd) continue;
      const end = this.#walk(query, stage, budget, hits);
      if (hits.length >= limit) return { hits, reached: hits.at(-1)!, isComplete: false };
      const reached = end === null ? null : { rank: stage.base + end - 1, key: afterAllKeys };
      if (reached !== null) return { hits, reached, isComplete: false };
    }
    return { hits, reached: null, isComplete: true };
  }

  #rows(kind: NamedKind, { part, expression }: Stage, { from, end, term }: NamedWindow, limit: number): NamedRow[] {
    const { sql } = this.#parts;
    const range = [BigInt(from), BigInt(Math.min(end, idsEnd)), BigInt(limit)] as const;
    if (expression === null) {
      return sql.all<NamedRow>(`SELECT id, k FROM ${kind} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`, ...range);
    }
    const words = `${kind}${part}`;
    const text = `SELECT ${kind}.id, ${kind}.k FROM ${words} CROSS JOIN ${kind} ON ${kind}.id = ${words}.rowid
      WHERE ${words} MATCH ? AND ${words}.rowid >= ? AND ${words}.rowid < ? ORDER BY ${words}.rowid LIMIT ?`;
    return sql.all<NamedRow>(text, expression.match(term), ...range);
  }

  /** Tells whether one of the words has few rows, which bound a statement of several. */
  #isRare(kind: NamedKind, { part, expression }: Stage, from: number): boolean {
    const { sql, work } = this.#parts;
    const limit = rareRowsOf(this.#parts);
    const words = `${kind}${part}`;
    const text = `SELECT 1 FROM ${words} WHERE ${words} MATCH ? AND rowid >= ? ORDER BY rowid LIMIT 1 OFFSET ?`;
    return expression!.words.slice(0, probedWordsMax).some((word) => {
      work.look(1, limit);
      return sql.get(text, word, BigInt(from), BigInt(limit - 1)) === undefined;
    });
  }

  /** Returns how a stage is divided: a function that returns the window at an id, or null. */
  #windows(kind: NamedKind, stage: Stage, from: number): (from: number) => NamedWindow | null {
    const terms = stage.expression?.terms ?? 1;
    const whole = (at: number): NamedWindow => ({ from: at, end: idsEnd, term: null, rows: rareRowsOf(this.#parts) });
    if (terms === 1) return whole;
    const ranges = this.#parts.rangesOf(kind);
    const divided = (at: number): NamedWindow | null => namedWindow(ranges, at, terms, this.#parts.rowsOfTerm);
    return divided(from)?.term != null && this.#isRare(kind, stage, from) ? whole : divided;
  }

  /** Adds hits of a stage. Returns the id up to which it walked (exclusive); null at its end. */
  #walk({ kind: asked, after, limit }: NamedQuery, stage: Stage, budget: Budget, hits: SearchHit[]): number | null {
    const kind = kinds[asked];
    const { work } = this.#parts;
    const { base, expression, isWanted } = stage;
    let from = Math.max(0, firstRankAfter(after) - base);
    const windows = this.#windows(kind, stage, from);
    const rowsMax = isWanted === null ? limit + 4 : rowsPerRead;
    while (from < idsEnd) {
      const beganMs = budget.nowMs();
      const window = windows(from);
      if (window === null) return null;
      const rows = this.#rows(kind, stage, window, rowsMax);
      const costMs = budget.nowMs() - beganMs;
      work.look(1 + (expression?.terms ?? 0), window.rows);
      work.rows += rows.length;
      for (const row of rows) {
        const found = this.#live(kind, row.k, isWanted);
        const hit = found && { rank: base + row.id, key: found.name };
        if (hit !== undefined && (after === null || compareHits(hit, after) > 0)) hits.push(hit);
        // Each has cost the reading of a record. One is always taken, so that pages go on.
        if (hits.length >= limit || budget.isWorkSpent) return row.id + 1;
      }
      from = rows.length < rowsMax ? window.end : rows.at(-1)!.id + 1;
      if (!budget.allows(costMs) && from < idsEnd) return from;
    }
    return null;
  }

  #live(kind: NamedKind, k: Uint8Array, isWanted: Stage['isWanted']): LiveHit | undefined {
    const { live, work } = this.#parts;
    work.records++;
    const collection = kind === 'feed' ? nsid.generator : nsid.starterPack;
    const found = kind === 'actor' ? live.actor(k) : live.record(k, collection);
    if (found === undefined || isWanted === null) return found;
    const terms = kind === 'actor' ? live.actorTerms(k) : live.listedTerms(k, collection);
    work.records += recordsOf(terms?.text);
    return terms !== undefined && isWanted(terms) ? found : undefined;
  }
}
