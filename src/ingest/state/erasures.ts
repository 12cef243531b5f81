/**
 * Up to which operations of a bsync the private data of an actor was erased: nothing up to them
 * comes back, wherever that bsync is read again from.
 *
 * Table `erasures`: DID → for each kind and stream the kind's code, an id (inclusive) and the
 * stream, as its cursor is named; without one it is of any, with 0 when no bsync had been read. A
 * row is read only for operations that are no newer than the last erasure of all.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { type ErasedKind, erasedKinds } from '../../atproto/private-namespace.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { erasedKindsOf } from '../../entry/erasure-writes.ts';
import { keyAfter, type Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue } from './state-codec.ts';

/** `stream` is '' for any; with 0 it is for imports alone. */
export type Erasure = { readonly kind: ErasedKind; readonly stream: string; readonly upTo: number };

/** Added to the code of a kind that is followed by a stream. */
const withStream = 16;

export class Erasures {
  readonly #table: Table;
  readonly #commits: CommitQueue;
  /** The greatest id of all rows. */
  #lastId = 0;

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
    this.reload();
  }

  reload(): void {
    this.#lastId = 0;
    for (const { value } of this.#table.scan(everyKey)) this.#noteIds(readErasures(value));
  }

  #noteIds(erasures: readonly Erasure[]): void {
    this.#lastId = Math.max(this.#lastId, ...erasures.map(({ upTo }) => upTo));
  }

  of(did: string): readonly Erasure[] {
    const value = this.#table.get(didKey(did));
    return value === undefined ? [] : readErasures(value);
  }

  /** Returns actors after one of them ('' for the first), and which kinds were erased of each. */
  page(after: string, limit: number): { readonly did: string; readonly kinds: readonly ErasedKind[] }[] {
    const start = after === '' ? everyKey.start : keyAfter(didKey(after));
    return [...this.#table.scan({ start, end: everyKey.end, limit })].map(({ key, value }) => ({
      did: readDid(new ByteReader(key)),
      kinds: [...new Set(readErasures(value).map(({ kind }) => kind))],
    }));
  }

  /** Notes an erasure up to the last operation read of each stream. Returns: once durable. */
  put(did: string, kind: ErasedKind, cursors: ReadonlyMap<string, number>): Promise<void> {
    const added = [...cursors].map(([stream, upTo]) => ({ kind, stream, upTo }));
    return this.#commits.write(() =>
      this.#store(didKey(did), this.of(did), added.length > 0 ? added : [{ kind, stream: '', upTo: 0 }]),
    );
  }

  /** In a transaction. A later id of the same stream stays. */
  #store(key: Buffer, before: readonly Erasure[], added: readonly Erasure[]): void {
    const erasures = [...before];
    for (const erasure of added) {
      const { kind, stream, upTo } = erasure;
      const at = erasures.findIndex((known) => known.kind === kind && known.stream === stream);
      if (at < 0) erasures.push(erasure);
      else erasures[at] = { kind, stream, upTo: Math.max(upTo, erasures[at]!.upTo) };
    }
    const value = beginValue();
    for (const { kind, stream, upTo } of erasures) {
      value.u8(erasedKinds.indexOf(kind) + (stream === '' ? 0 : withStream)).varint(upTo);
      if (stream !== '') value.text(stream);
    }
    this.#table.put(key, value.finish());
    this.#noteIds(erasures);
  }

  /** Returns another stream that is alike, by whose operations something was erased. */
  otherStream(stream: string, isAlike: (other: string) => boolean): string | undefined {
    for (const { value } of this.#table.scan(everyKey)) {
      const found = readErasures(value).find((known) => known.stream !== stream && isAlike(known.stream));
      if (found !== undefined) return found.stream;
    }
    return undefined;
  }

  /** Has erasures of streams that are alike be of `stream` too. Returns: once durable. */
  carryOver(stream: string, isAlike: (other: string) => boolean): Promise<void> {
    return this.#commits.write(() => {
      for (const { key, value } of [...this.#table.scan(everyKey)]) {
        const erasures = readErasures(value);
        const alike = erasures.filter((known) => isAlike(known.stream));
        if (alike.length > 0)
          this.#store(
            key,
            erasures,
            alike.map((known) => ({ ...known, stream })),
          );
      }
    });
  }

  /** Returns whether a write of an operation of a stream was erased later. */
  isErased(did: string, write: PrivateWrite, stream: string, id: number): boolean {
    if (id > this.#lastId) return false;
    const kinds = erasedKindsOf(write);
    return this.of(did).some(
      (known) => id <= known.upTo && kinds.includes(known.kind) && (known.stream === stream || known.stream === ''),
    );
  }
}

function readErasures(value: Buffer): Erasure[] {
  const reader = readValue(value);
  const erasures: Erasure[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const kind = erasedKinds[code % withStream];
    invariant(kind !== undefined, 'a stored kind of erasure is one that was given out');
    erasures.push({ kind, upTo: reader.varint(), stream: code < withStream ? '' : reader.text() });
  }
  return erasures;
}
