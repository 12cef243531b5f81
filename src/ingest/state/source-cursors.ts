/** How far each source is durable in the log. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, readHighBits, readValue, textKey, writeHighBits, writeSeq } from './state-codec.ts';

/** `seq` is inclusive: everything up to it is durable in the log. */
export type StoredCursor = { readonly seq: number; readonly timeMs: number };

/** Table `cursors`: name of the source → seq, event time. */
export class SourceCursors {
  readonly #table: Table;
  readonly #commits: CommitQueue;

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
  }

  /** Returns the last durable cursor. */
  get(source: string): StoredCursor | undefined {
    const value = this.#table.get(textKey(source));
    if (value === undefined) return undefined;
    const reader = readValue(value);
    const [low, timeMs] = [reader.u48(), reader.u48()];
    return { seq: low + readHighBits(reader), timeMs };
  }

  /** Stores a cursor. Returns: once durable. */
  store(source: string, { seq, timeMs }: StoredCursor): Promise<void> {
    const value = writeHighBits(writeSeq(beginValue(), seq).u48(timeMs), [seq]).finish();
    return this.#commits.write(() => this.#table.put(textKey(source), value));
  }

  /** Removes the cursor of a source. Returns: once durable. */
  remove(source: string): Promise<void> {
    return this.#commits.write(() => this.#table.remove(textKey(source)));
  }
}
