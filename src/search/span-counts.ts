/** How many rows of a kind there are by ranges of row ids, as the index thread counts them. */
import { idsPerSpan, type NamedKind, type Statements } from './index-file.ts';

const addition = `INSERT INTO span(kind, bucket, rows) VALUES (?1, ?2, ?3)
  ON CONFLICT(kind, bucket) DO UPDATE SET rows = rows + ?3`;

/** Changes of the transaction under way, which it writes at its end. */
export class SpanCounts {
  readonly #sql: Statements;
  readonly #kind: NamedKind | 'post';
  readonly #changeByBucket = new Map<number, number>();

  constructor(sql: Statements, kind: NamedKind | 'post') {
    this.#sql = sql;
    this.#kind = kind;
  }

  add(id: number, change: 1 | -1): void {
    const bucket = Math.floor(id / idsPerSpan[this.#kind]);
    this.#changeByBucket.set(bucket, (this.#changeByBucket.get(bucket) ?? 0) + change);
  }

  flush(): void {
    for (const [bucket, change] of this.#changeByBucket)
      if (change !== 0) this.#sql.run(addition, this.#kind, BigInt(bucket), BigInt(change));
    this.reload();
  }

  /** Forgets what a transaction that was taken back changed. */
  reload(): void {
    this.#changeByBucket.clear();
  }
}
