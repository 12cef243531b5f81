/** Rows that are also in memory, since every event asks for them. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { everyKey } from './state-codec.ts';

export type RowCodec<Row> = {
  readonly keyOf: (name: string) => Buffer;
  readonly nameOf: (key: Buffer) => string;
  readonly encode: (row: Row) => Buffer;
  readonly decode: (value: Buffer) => Row;
};

/** One table, by a name: a host, a DID. `reload` it after an abort. */
export class MirroredTable<Row> {
  readonly #table: Table;
  readonly #commits: CommitQueue;
  readonly #codec: RowCodec<Row>;
  readonly #rowByName = new Map<string, Row>();

  constructor(table: Table, commits: CommitQueue, codec: RowCodec<Row>) {
    this.#table = table;
    this.#commits = commits;
    this.#codec = codec;
    this.reload();
  }

  reload(): void {
    this.#rowByName.clear();
    for (const { key, value } of this.#table.scan(everyKey)) {
      this.#rowByName.set(this.#codec.nameOf(key), this.#codec.decode(value));
    }
  }

  get size(): number {
    return this.#rowByName.size;
  }

  has(name: string): boolean {
    return this.#rowByName.has(name);
  }

  get(name: string): Row | undefined {
    return this.#rowByName.get(name);
  }

  entries(): IterableIterator<[string, Row]> {
    return this.#rowByName.entries();
  }

  /** Stores a row, or removes it. Returns: once durable; it is in force from then on. */
  put(name: string, row: Row | null): Promise<void> {
    return this.#commits.write(() => {
      if (row === null) {
        this.#table.remove(this.#codec.keyOf(name));
        this.#rowByName.delete(name);
        return;
      }
      this.#table.put(this.#codec.keyOf(name), this.#codec.encode(row));
      this.#rowByName.set(name, row);
    });
  }
}
