/**
 * Writes posts into the index: their words, and how much they are liked.
 *
 * Owns: the row ids of posts, and in which tables each is. Runs within a transaction of the index
 * thread. Row ids are given to SQLite as BigInt: it takes a JS number for a REAL, and FTS5 then
 * ignores it as a bound.
 */
import { xxh32 } from '../base/xxh32.ts';
import { postTables, type Statements } from './index-file.ts';
import { windowTerms } from './post-windows.ts';
import { idsOfTime, levelOf, packWeight, postIdAt, postIdFurther, termCountOf, tiersOf } from './rank.ts';
import { SpanCounts } from './span-counts.ts';
import type { DocumentTerms } from './tokenise.ts';

type DocRow = { readonly id: number; readonly w: number; readonly k: Uint8Array };

/** What of a post its level alone does not say is read only when it is needed. */
export type IndexedPost = {
  readonly k: Buffer;
  readonly sortMs: number;
  readonly level: number;
  readonly terms: () => DocumentTerms;
};

/** Attempts to place a post whose sort time many others have; each looks further. */
const attemptsMax = 12;

export class PostIndex {
  readonly #sql: Statements;
  #hasMoved: boolean;
  readonly #spans: SpanCounts;

  constructor(sql: Statements) {
    this.#sql = sql;
    this.#spans = new SpanCounts(sql, 'post');
    this.#hasMoved = sql.get('SELECT 1 FROM moved LIMIT 1') !== undefined;
  }

  #rowsFrom(id: number): DocRow[] {
    return this.#sql.all<DocRow>(
      'SELECT id, w, k FROM doc WHERE id >= ? AND id < ?',
      BigInt(id),
      BigInt(id + idsOfTime),
    );
  }

  /** Returns the row of a post, and what else is near; `found` is undefined if it has none. */
  #find(k: Buffer, sortMs: number): { readonly found: DocRow | undefined; readonly near: readonly DocRow[] } {
    const near = this.#rowsFrom(postIdAt(sortMs));
    let found = near.find((row) => k.equals(row.k));
    if (found === undefined && this.#hasMoved) {
      found = this.#sql.get<DocRow>(
        'SELECT doc.id, w, doc.k FROM moved JOIN doc ON doc.id = moved.id WHERE moved.k = ?',
        k,
      );
    }
    return { found, near };
  }

  /** Returns the row id of a post, or undefined. */
  idOf(k: Buffer, sortMs: number): number | undefined {
    return this.#find(k, sortMs).found?.id;
  }

  /**
   * Removes posts, and puts others, in the order of their row ids: FTS5 begins a new segment at one
   * that is not above the one before.
   */
  apply(gone: readonly { readonly k: Buffer; readonly sortMs: number }[], posts: readonly IndexedPost[]): void {
    const byId = (one: { readonly sortMs: number }, other: { readonly sortMs: number }): number =>
      postIdAt(one.sortMs) - postIdAt(other.sortMs);
    for (const { k, sortMs } of [...gone].sort(byId)) this.remove(k, sortMs);
    for (const post of [...posts].sort(byId)) this.put(post);
  }

  /** Removes a post that was indexed at a sort time. Returns whether it was there. */
  remove(k: Buffer, sortMs: number): boolean {
    const { found } = this.#find(k, sortMs);
    if (found === undefined) return false;
    this.removeRow(found);
    return true;
  }

  /** Removes the post of a row. */
  removeRow({ id, w, k }: DocRow): void {
    const row = BigInt(id);
    for (const table of postTables.slice(0, tiersOf(levelOf(w))))
      this.#sql.run(`DELETE FROM ${table} WHERE rowid = ?`, row);
    this.#sql.run('DELETE FROM doc WHERE id = ?', row);
    if (this.#hasMoved) this.#sql.run('DELETE FROM moved WHERE k = ?', k);
    this.#spans.add(id, -1);
  }

  /** Puts a post, or brings the level of one up to date whose words have not changed. */
  put(post: IndexedPost): void {
    const { found, near } = this.#find(post.k, post.sortMs);
    if (found !== undefined) return this.#setLevel(found, post);
    const id = this.#freeId(post, near);
    const { text, count } = post.terms();
    const row = BigInt(id);
    this.#sql.run('INSERT INTO doc(id, w, k) VALUES (?, ?, ?)', row, BigInt(packWeight(post.level, count)), post.k);
    for (const table of postTables.slice(0, tiersOf(post.level))) this.#insert(table, id, text);
    this.#spans.add(id, 1);
  }

  #insert(table: string, id: number, text: string): void {
    this.#sql.run(`INSERT INTO ${table}(rowid, t) VALUES (?, ?)`, BigInt(id), `${text} ${windowTerms(id)}`);
  }

  #setLevel({ id, w }: DocRow, { level, terms }: IndexedPost): void {
    if (levelOf(w) === level) return;
    const row = BigInt(id);
    const [before, after] = [tiersOf(levelOf(w)), tiersOf(level)];
    for (const table of postTables.slice(after, before)) this.#sql.run(`DELETE FROM ${table} WHERE rowid = ?`, row);
    if (after > before) {
      const { text } = terms();
      for (const table of postTables.slice(before, after)) this.#insert(table, id, text);
    }
    this.#sql.run('UPDATE doc SET w = ? WHERE id = ?', BigInt(packWeight(level, termCountOf(w))), row);
  }

  #freeId({ k, sortMs }: IndexedPost, near: readonly DocRow[]): number {
    const first = postIdAt(sortMs);
    let free = gapIn(first, near);
    if (free !== undefined) return free;
    for (let attempt = 0; free === undefined; attempt++) {
      const from =
        postIdFurther(first, xxh32(k), Math.min(attempt, attemptsMax)) + Math.max(0, attempt - attemptsMax) * idsOfTime;
      free = gapIn(from, this.#rowsFrom(from));
    }
    this.#sql.run('INSERT INTO moved(k, id) VALUES (?, ?)', k, BigInt(free));
    this.#hasMoved = true;
    return free;
  }

  /** Ends a transaction. */
  flush(): void {
    this.#spans.flush();
  }

  /** Begins again after a transaction that was taken back. */
  reload(): void {
    this.#spans.reload();
  }
}

/** Returns the first id from `first` on that none of the rows near it has. */
function gapIn(first: number, near: readonly DocRow[]): number | undefined {
  let free = first;
  for (const { id } of near) {
    if (id !== free) break;
    free++;
  }
  return free < first + idsOfTime ? free : undefined;
}
