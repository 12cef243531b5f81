/** What a source no longer had when we asked for it, until an operator has it fetched. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, readHighBits, readValue, textKey, writeHighBits, writeSeq } from './state-codec.ts';

/** Events after `afterSeq` and before `beforeSeq`, both exclusive, were missed. */
export type SourceGap = { readonly afterSeq: number; readonly beforeSeq: number };

/** Table `gaps`: name of the source → the gap; several become one that spans them. */
export class SourceGaps {
  readonly #table: Table;
  readonly #commits: CommitQueue;

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
  }

  get(source: string): SourceGap | null {
    const value = this.#table.get(textKey(source));
    if (value === undefined) return null;
    const reader = readValue(value);
    const [after, before] = [reader.u48(), reader.u48()];
    return { afterSeq: after + readHighBits(reader), beforeSeq: before + readHighBits(reader) };
  }

  /** Stores a gap. Returns: once durable. */
  add(source: string, { afterSeq, beforeSeq }: SourceGap): Promise<void> {
    return this.#commits.write(() => {
      const before = this.get(source);
      const first = Math.min(afterSeq, before?.afterSeq ?? afterSeq);
      const last = Math.max(beforeSeq, before?.beforeSeq ?? beforeSeq);
      const value = writeHighBits(writeSeq(writeSeq(beginValue(), first), last), [first, last]);
      this.#table.put(textKey(source), value.finish());
    });
  }

  /** Drops a gap. Returns: once durable. */
  remove(source: string): Promise<void> {
    return this.#commits.write(() => this.#table.remove(textKey(source)));
  }
}
