/**
 * Writes actors, feeds and packs into the index, each kind into tables of its own.
 *
 * Their row ids begin with how well they are known, so that a prefix of a name finds the best known
 * first and ends after a page. Runs within a transaction of the index thread.
 */
import { xxh32 } from '../base/xxh32.ts';
import type { NamedKind, Statements } from './index-file.ts';
import { namedWindowTerms } from './named-windows.ts';
import { levelOfNamedId, namedId } from './rank.ts';
import type { NamedTerms } from './record-terms.ts';
import { SpanCounts } from './span-counts.ts';

export type NamedEntry = {
  readonly k: Buffer;
  /** A DID or URI, whose hash orders those of one level on all nodes alike. */
  readonly name: string;
  readonly level: number;
  readonly terms: NamedTerms;
};

export class NamedIndex {
  readonly #sql: Statements;
  readonly #kind: NamedKind;
  readonly #spans: SpanCounts;

  constructor(sql: Statements, kind: NamedKind) {
    this.#sql = sql;
    this.#kind = kind;
    this.#spans = new SpanCounts(sql, kind);
  }

  #idOf(k: Uint8Array): number | undefined {
    return this.#sql.get<{ id: number }>(`SELECT id FROM ${this.#kind} WHERE k = ?`, k)?.id;
  }

  /**
   * Removes entries, and puts others in the place of what the index has of them; each at most once.
   *
   * FTS5 begins a new segment at a row id that is not above the one before, so all that is removed
   * comes before all that is put, both in the order of their ids.
   */
  apply(gone: readonly Uint8Array[], entries: readonly NamedEntry[]): void {
    const taken = new Set<number>();
    const removed = gone.flatMap((k) => this.#idOf(k) ?? []);
    const put: { readonly id: number; readonly entry: NamedEntry }[] = [];
    for (const entry of entries) {
      const before = this.#idOf(entry.k);
      if (before !== undefined) removed.push(before);
      // One that stays on its level keeps its place.
      const isSame = before !== undefined && levelOfNamedId(before) === levelOfNamedId(namedId(entry.level, 0));
      const id = isSame ? before : this.#freeId(namedId(entry.level, xxh32(Buffer.from(entry.name))), taken);
      taken.add(id);
      put.push({ id, entry });
    }
    for (const id of removed.sort((one, other) => one - other)) this.#removeRow(id);
    for (const { id, entry } of put.sort((one, other) => one.id - other.id)) this.#insert(id, entry);
  }

  #removeRow(id: number): void {
    const row = BigInt(id);
    for (const part of ['_name', '_text']) this.#sql.run(`DELETE FROM ${this.#kind}${part} WHERE rowid = ?`, row);
    this.#sql.run(`DELETE FROM ${this.#kind} WHERE id = ?`, row);
    this.#spans.add(id, -1);
  }

  #insert(id: number, { k, terms }: NamedEntry): void {
    const row = BigInt(id);
    this.#sql.run(`INSERT INTO ${this.#kind}(id, k) VALUES (?, ?)`, row, k);
    const windows = namedWindowTerms(id);
    this.#sql.run(`INSERT INTO ${this.#kind}_name(rowid, t) VALUES (?, ?)`, row, `${terms.name} ${windows}`);
    this.#sql.run(`INSERT INTO ${this.#kind}_text(rowid, t) VALUES (?, ?)`, row, `${terms.text} ${windows}`);
    this.#spans.add(id, 1);
  }

  /** Ends a transaction. */
  flush(): void {
    this.#spans.flush();
  }

  /** Begins again after a transaction that was taken back. */
  reload(): void {
    this.#spans.reload();
  }

  /** Hashes of billions: a taken one has a free one after it. */
  #freeId(first: number, taken: ReadonlySet<number>): number {
    let id = first;
    while (taken.has(id) || this.#sql.get(`SELECT 1 FROM ${this.#kind} WHERE id = ?`, BigInt(id)) !== undefined) id++;
    return id;
  }
}
