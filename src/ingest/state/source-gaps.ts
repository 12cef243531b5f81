/** What a source no longer had when we asked for it, until an operator has it fetched. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, readValue, textKey } from './state-codec.ts';

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
    return { afterSeq: reader.u48(), beforeSeq: reader.u48() };
  }

  /** Stores a gap. Returns: once durable. */
  add(source: string, { afterSeq, beforeSeq }: SourceGap): Promise<void> {
    return this.#commits.write(() => {
      const before = this.get(source);
      const first = Math.min(afterSeq, before?.afterSeq ?? afterSeq);
      const value = beginValue()
        .u48(first)
        .u48(Math.max(beforeSeq, before?.beforeSeq ?? beforeSeq));
      this.#table.put(textKey(source), value.finish());
    });
  }

  /** Drops a gap. Returns: once durable. */
  remove(source: string): Promise<void> {
    return this.#commits.write(() => this.#table.remove(textKey(source)));
  }
}
