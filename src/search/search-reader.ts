/**
 * Answers queries from the index file, in a search thread.
 *
 * Owns: a connection that only reads, and what it knows of the file for a moment: which slots are
 * served, how many rows there are. Refuses to answer while a slot of the node is not built: what is
 * missing must not look as if it were not there.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { SearchAnswer, SearchQuery } from '../wire/search-messages.ts';
import {
  idsPerSpan,
  isDamage,
  isIndexFailure,
  type NamedKind,
  openForReading,
  Statements,
  servedKnownMs,
} from './index-file.ts';
import type { SlotPlace } from './indexed-slot.ts';
import { LiveSlots } from './live-slots.ts';
import { NamedSearch } from './named-search.ts';
import { PostSearch } from './post-search.ts';
import type { PostCounts, Span } from './post-windows.ts';
import { type Ranges, Work } from './windows.ts';

const rangesKnownMs = 2_000;

export type SearchReaderOptions = {
  readonly path: string;
  readonly places: readonly SlotPlace[];
  /** The number of slots of the cluster, when it starts. */
  readonly slots: number;
  /** Slots among the places that this node is the primary of. */
  readonly primaries: readonly number[];
  readonly clock: Clock;
  /** Called when the file is damaged. */
  readonly onDamage: () => void;
  /** See PostCounts. */
  readonly rowsOfTerm?: number;
};

export class SearchReader {
  readonly #options: SearchReaderOptions;
  readonly #live: LiveSlots;
  /** Of all queries so far. */
  readonly work = new Work();
  #db: DatabaseSync | null = null;
  #sql: Statements | null = null;
  readonly #rangesByKind = new Map<NamedKind, { readonly ranges: Ranges; readonly untilMs: number }>();
  #servedUntilMs = 0;
  #unservedCount = 0;
  #total = 0;
  #totalUntilMs = 0;

  constructor(options: SearchReaderOptions) {
    this.#options = options;
    this.#live = new LiveSlots(options.places, options.primaries, options.slots);
  }

  /** Takes the slots for which this node answers from now on, of so many of the cluster. */
  usePrimaries(primaries: readonly number[], slots: number): void {
    this.#live.usePrimaries(primaries, slots);
    this.#servedUntilMs = 0;
  }

  /** Takes the slots that the node has from now on. Resolves once it has no others open. */
  async usePlaces(places: readonly SlotPlace[]): Promise<void> {
    await this.#live.usePlaces(places);
    this.refresh();
  }

  /** Has the next query read again which slots are served, and how many rows there are. */
  refresh(): void {
    this.#servedUntilMs = 0;
    this.#totalUntilMs = 0;
    this.#rangesByKind.clear();
  }

  /** Closes the file: there may be another in its place. */
  reopen(): void {
    this.#db?.close();
    this.#db = null;
    this.#sql = null;
    this.refresh();
  }

  /**
   * Answers a query.
   *
   * Errors: DataPlaneError `InvalidArgument` for too many terms, `Unavailable` while the index is
   * built or cannot be read.
   */
  find(query: SearchQuery): SearchAnswer {
    try {
      const sql = this.#open();
      this.#live.begin();
      this.#requireServed(sql);
      const { clock } = this.#options;
      if (query.kind !== 'posts') {
        const rangesOf = (kind: NamedKind): Ranges => this.#ranges(sql, kind);
        const { rowsOfTerm } = this.#options;
        return new NamedSearch({ sql, live: this.#live, rangesOf, rowsOfTerm, clock, work: this.work }).find(query);
      }
      const posts = new PostSearch({
        sql,
        live: this.#live,
        counts: this.#postCounts(sql),
        clock,
        work: this.work,
      });
      return posts.find(query);
    } catch (thrown) {
      if (!isIndexFailure(thrown)) throw thrown;
      this.reopen();
      if (isDamage(thrown)) this.#options.onDamage();
      const message = 'the search index cannot be read, and is opened or built again';
      throw new DataPlaneError('Unavailable', message, { cause: thrown });
    }
  }

  #open(): Statements {
    if (this.#sql === null) {
      this.#db = openForReading(this.#options.path);
      this.#sql = new Statements(this.#db);
    }
    return this.#sql;
  }

  #requireServed(sql: Statements): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs >= this.#servedUntilMs) {
      const rows = sql.all<{ slot: number; served: number }>('SELECT slot, served FROM slot WHERE served > 0');
      const own = new Set(this.#live.slots);
      const keys = new Map(rows.filter(({ slot }) => own.has(slot)).map(({ slot, served }) => [slot, served]));
      this.#live.reopenReplaced();
      this.#live.useKeys(keys);
      this.#unservedCount = own.size - keys.size - this.#live.unservedChildCount;
      this.#servedUntilMs = nowMs + servedKnownMs;
    }
    if (this.#unservedCount > 0) {
      const message = `the search index of ${this.#unservedCount} slots is being built from their records`;
      throw new DataPlaneError('Unavailable', message);
    }
  }

  #postCounts(sql: Statements): PostCounts {
    const { rowsOfTerm } = this.#options;
    return {
      spansFrom: (bucket, limit) =>
        sql.all<Span>(
          "SELECT bucket, rows FROM span WHERE kind = 'post' AND bucket >= ? AND rows > 0 ORDER BY bucket LIMIT ?",
          BigInt(bucket),
          BigInt(limit),
        ),
      total: () => this.#totalPosts(sql),
      ...(rowsOfTerm === undefined ? {} : { rowsOfTerm }),
    };
  }

  #totalPosts(sql: Statements): number {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs >= this.#totalUntilMs) {
      this.#total =
        sql.get<{ rows: number | null }>("SELECT sum(rows) AS rows FROM span WHERE kind = 'post'")?.rows ?? 0;
      this.#totalUntilMs = nowMs + rangesKnownMs;
    }
    return this.#total;
  }

  #ranges(sql: Statements, kind: NamedKind): Ranges {
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#rangesByKind.get(kind);
    if (known !== undefined && nowMs < known.untilMs) return known.ranges;
    const found = sql.all<{ bucket: number; rows: number }>(
      'SELECT bucket, rows FROM span WHERE kind = ? AND rows > 0 ORDER BY bucket',
      kind,
    );
    const idsPerRange = idsPerSpan[kind];
    const starts = found.map(({ bucket }) => bucket * idsPerRange);
    const ranges = { idsPerRange, starts, rows: found.map(({ rows }) => rows) };
    this.#rangesByKind.set(kind, { ranges, untilMs: nowMs + rangesKnownMs });
    return ranges;
  }

  async close(): Promise<void> {
    this.reopen();
    await this.#live.close();
  }
}
