/**
 * Finds actors, feeds and packs: by their names first, then by what they say of themselves, the
 * best known first in both.
 */
import { nsid } from '../atproto/collection.ts';
import type { Clock } from '../base/clock.ts';
import type { NamedQuery, SearchAnswer, SearchHit } from '../wire/search-messages.ts';
import { compareHits } from '../wire/search-messages.ts';
import type { NamedKind, Statements } from './index-file.ts';
import type { LiveHit, LiveSlots } from './live-slots.ts';
import { type MatchExpression, namedExpression } from './match-expression.ts';
import { searchBudgetMs } from './post-search.ts';
import { Budget, type Ranges, Windows } from './windows.ts';

const kinds: Readonly<Record<NamedQuery['kind'], NamedKind>> = { actors: 'actor', feeds: 'feed', packs: 'pack' };
/** All row ids are below; a rank is the id, and this for hits that are not by name. */
const idsEnd = 2 ** 38;
const afterAllKeys = '\uffff';

type NamedRow = { readonly id: number; readonly k: Uint8Array };

export type NamedSearchParts = {
  readonly sql: Statements;
  readonly live: LiveSlots;
  readonly rangesOf: (kind: NamedKind) => Ranges;
  readonly clock: Clock;
};

/** One of the two walks. `match` is null for all rows. */
type Stage = {
  readonly base: number;
  readonly part: '_name' | '_text';
  readonly expression: MatchExpression | null;
};

export class NamedSearch {
  readonly #parts: NamedSearchParts;

  constructor(parts: NamedSearchParts) {
    this.#parts = parts;
  }

  /** Errors: DataPlaneError `InvalidArgument` for too many terms; those of SQLite. */
  find(query: NamedQuery): SearchAnswer {
    const { text, isTypeahead, after, limit } = query;
    const byName = namedExpression(text, true);
    const isAll = byName === null && text.trim() === '' && query.kind !== 'actors';
    if (byName === null && !isAll) return { hits: [], reached: null, isComplete: true };
    const stages: Stage[] = [{ base: 0, part: '_name', expression: byName }];
    if (!isTypeahead && !isAll) stages.push({ base: idsEnd, part: '_text', expression: namedExpression(text, false) });
    const hits: SearchHit[] = [];
    const budget = new Budget(this.#parts.clock, searchBudgetMs);
    for (const stage of stages) {
      if (after !== null && after.rank >= stage.base + idsEnd) continue;
      const end = this.#walk(query, stage, byName, budget, hits);
      if (hits.length >= limit) return { hits, reached: hits.at(-1)!, isComplete: false };
      const reached = end === null ? null : { rank: stage.base + end - 1, key: afterAllKeys };
      if (reached !== null) return { hits, reached, isComplete: false };
    }
    return { hits, reached: null, isComplete: true };
  }

  #rows(kind: NamedKind, { part, expression }: Stage, from: number, to: number, limit: number): NamedRow[] {
    const { sql } = this.#parts;
    const range = [BigInt(from), BigInt(to), BigInt(limit)] as const;
    if (expression === null) {
      return sql.all<NamedRow>(`SELECT id, k FROM ${kind} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`, ...range);
    }
    const words = `${kind}${part}`;
    const text = `SELECT ${kind}.id, ${kind}.k FROM ${words} CROSS JOIN ${kind} ON ${kind}.id = ${words}.rowid
      WHERE ${words} MATCH ? AND ${words}.rowid >= ? AND ${words}.rowid < ? ORDER BY ${words}.rowid LIMIT ?`;
    return sql.all<NamedRow>(text, expression.match, ...range);
  }

  /** Adds hits of a stage. Returns the id up to which it walked (exclusive); null at its end. */
  #walk(
    { kind: asked, after, limit }: NamedQuery,
    stage: Stage,
    byName: MatchExpression | null,
    budget: Budget,
    hits: SearchHit[],
  ): number | null {
    const kind = kinds[asked];
    const windows = new Windows(this.#parts.rangesOf(kind), stage.expression?.terms ?? 1, budget);
    let from = Math.max(0, (after?.rank ?? 0) - stage.base);
    const rowsMax = limit + 4;
    while (from < idsEnd) {
      const end = windows.begin(from, idsEnd);
      const rows = this.#rows(kind, stage, from, end, rowsMax);
      windows.end();
      for (const row of rows) {
        if (stage.base > 0 && byName !== null && this.#isByName(kind, row.id, byName)) continue;
        const found = this.#live(kind, row.k);
        const hit = found && { rank: stage.base + row.id, key: found.name };
        if (hit !== undefined && (after === null || compareHits(hit, after) > 0)) hits.push(hit);
        if (hits.length >= limit) return row.id + 1;
      }
      from = rows.length < rowsMax ? end : rows.at(-1)!.id + 1;
      if (budget.isSpent && from < idsEnd) return from;
    }
    return null;
  }

  #isByName(kind: NamedKind, id: number, { match }: MatchExpression): boolean {
    const text = `SELECT 1 FROM ${kind}_name WHERE ${kind}_name MATCH ? AND rowid = ?`;
    return this.#parts.sql.get(text, match, BigInt(id)) !== undefined;
  }

  #live(kind: NamedKind, k: Uint8Array): LiveHit | undefined {
    const { live } = this.#parts;
    if (kind === 'actor') return live.actor(k);
    return live.record(k, kind === 'feed' ? nsid.generator : nsid.starterPack);
  }
}
