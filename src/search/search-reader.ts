/**
 * Answers queries from the index file, in a search thread.
 *
 * Owns: a connection that only reads, and what it knows of the file until that changes: which slots
 * are served, where rows are. Refuses to answer while a slot of the node is not built: what is
 * missing must not look as if it were not there.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { SearchAnswer, SearchQuery } from '../wire/search-messages.ts';
import { idsPerSpan, isDamage, isIndexFailure, type NamedKind, openForReading, Statements } from './index-file.ts';
import { LiveSlots } from './live-slots.ts';
import { NamedSearch } from './named-search.ts';
import { PostSearch } from './post-search.ts';
import type { PostCounts, Span } from './post-windows.ts';
import type { PlacedSlots } from './search-thread-messages.ts';
import { type Ranges, Work } from './windows.ts';

const totalKnownMs = 2_000;
/** How often a reader looks whether slots go on in other files. */
const lookEveryMs = 200;

/** With the slots of the node when the reader starts. */
export type SearchReaderOptions = Omit<PlacedSlots, 'coming'> & {
  readonly path: string;
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
  /** Of the file as it is at `#servedVersion`. */
  readonly #rangesByKind = new Map<NamedKind, Ranges>();
  /** The `data_version` at which it was read which slots are served, or null. */
  #servedVersion: number | null = null;
  #lookUntilMs = 0;
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
    this.refresh();
  }

  /** Takes the slots that the node has from now on. Resolves once it has no others open. */
  usePlaces({ places, primaries, slots }: Omit<PlacedSlots, 'coming'>): Promise<void> {
    const closed = this.#live.usePlaces(places, primaries, slots);
    this.refresh();
    return closed;
  }

  /** Has the next query read again which slots are served, and how many rows there are. */
  refresh(): void {
    this.#servedVersion = null;
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
      // Rows of a key go once no slot is served by it, which may be in the middle of a query.
      return sql.inSnapshot(() => this.#find(sql, query));
    } catch (thrown) {
      if (!isIndexFailure(thrown)) throw thrown;
      this.reopen();
      if (isDamage(thrown)) this.#options.onDamage();
      const message = 'the search index cannot be read, and is opened or built again';
      throw new DataPlaneError('Unavailable', message, { cause: thrown });
    }
  }

  #find(sql: Statements, query: SearchQuery): SearchAnswer {
    this.#live.begin();
    this.#requireServed(sql);
    const { clock, rowsOfTerm } = this.#options;
    const parts = { sql, live: this.#live, clock, work: this.work };
    if (query.kind === 'posts') return new PostSearch({ ...parts, counts: this.#postCounts(sql) }).find(query);
    const rangesOf = (kind: NamedKind): Ranges => this.#ranges(sql, kind);
    return new NamedSearch({ ...parts, rangesOf, rowsOfTerm }).find(query);
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
    if (nowMs >= this.#lookUntilMs) {
      this.#live.reopenReplaced();
      this.#lookUntilMs = nowMs + lookEveryMs;
    }
    const { data_version: version } = sql.get<{ data_version: number }>('PRAGMA data_version')!;
    if (version !== this.#servedVersion) {
      const rows = sql.all<{ slot: number; served: number }>('SELECT slot, served FROM slot WHERE served > 0');
      const own = new Set(this.#live.slots);
      const keys = new Map(rows.filter(({ slot }) => own.has(slot)).map(({ slot, served }) => [slot, served]));
      this.#live.useKeys(keys);
      this.#rangesByKind.clear();
      this.#unservedCount = own.size - keys.size - this.#live.unservedChildCount;
      this.#servedVersion = version;
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
      this.#totalUntilMs = nowMs + totalKnownMs;
    }
    return this.#total;
  }

  #ranges(sql: Statements, kind: NamedKind): Ranges {
    const known = this.#rangesByKind.get(kind);
    if (known !== undefined) return known;
    const found = sql.all<{ bucket: number; rows: number }>(
      'SELECT bucket, rows FROM span WHERE kind = ? AND rows > 0 ORDER BY bucket',
      kind,
    );
    const idsPerRange = idsPerSpan[kind];
    const starts = found.map(({ bucket }) => bucket * idsPerRange);
    const ranges = { idsPerRange, starts, rows: found.map(({ rows }) => rows) };
    this.#rangesByKind.set(kind, ranges);
    return ranges;
  }

  async close(): Promise<void> {
    this.reopen();
    await this.#live.close();
  }
}
