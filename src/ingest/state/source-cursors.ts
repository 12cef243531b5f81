/** How far each source is durable in the log. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, everyKey, readHighBits, readValue, textKey, writeHighBits, writeSeq } from './state-codec.ts';

/** `seq` is inclusive: everything up to it is durable in the log. */
export type StoredCursor = { readonly seq: number; readonly timeMs: number };

/** Returns the name by which the cursor of a bsync's stream is stored. */
export function bsyncCursorName(url: string, stream: string): string {
  return `bsync ${url} ${stream}`;
}

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
    return value === undefined ? undefined : readCursor(value);
  }

  /** Returns the last durable operation of a stream by each bsync that was ever followed. */
  ofBsyncs(stream: string): Map<string, number> {
    const cursors = new Map<string, number>();
    for (const { key, value } of this.#table.scan(everyKey)) {
      const name = key.utf8Slice();
      if (/^bsync \S+ (\S+)$/.exec(name)?.[1] === stream) cursors.set(name, readCursor(value).seq);
    }
    return cursors;
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

function readCursor(value: Buffer): StoredCursor {
  const reader = readValue(value);
  const [low, timeMs] = [reader.u48(), reader.u48()];
  return { seq: low + readHighBits(reader), timeMs };
}
