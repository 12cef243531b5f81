/**
 * Up to which operation of bsync the private data of an actor was erased: nothing up to it comes
 * back, wherever bsync is read again from.
 *
 * Table `erasures`: DID → for each kind its code and an id (inclusive) of that kind's stream. A row
 * has a few bytes, and is read only for operations that are no newer than the last erasure of all.
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
    for (const { value } of this.#table.scan(everyKey)) this.#noteIds(readIds(value));
  }

  #noteIds(ids: ReadonlyMap<ErasedKind, number>): void {
    this.#lastId = Math.max(this.#lastId, ...ids.values());
  }

  /** Returns up to which ids kinds of an actor were erased. */
  of(did: string): ReadonlyMap<ErasedKind, number> {
    const value = this.#table.get(didKey(did));
    return value === undefined ? new Map() : readIds(value);
  }

  /** Returns actors after one of them ('' for the first), and which kinds were erased of each. */
  page(after: string, limit: number): { readonly did: string; readonly kinds: readonly ErasedKind[] }[] {
    const start = after === '' ? everyKey.start : keyAfter(didKey(after));
    return [...this.#table.scan({ start, end: everyKey.end, limit })].map(({ key, value }) => ({
      did: readDid(new ByteReader(key)),
      kinds: [...readIds(value).keys()],
    }));
  }

  /** Notes an erasure, unless one up to a later id is there. Returns: once durable. */
  put(did: string, kind: ErasedKind, id: number): Promise<void> {
    return this.#commits.write(() => {
      const before = this.of(did);
      const ids = new Map(before).set(kind, Math.max(id, before.get(kind) ?? 0));
      const value = beginValue();
      for (const [of, upTo] of ids) value.u8(erasedKinds.indexOf(of)).varint(upTo);
      this.#table.put(didKey(did), value.finish());
      this.#noteIds(ids);
    });
  }

  /** Returns whether a write of an operation was erased later. */
  isErased(did: string, write: PrivateWrite, id: number): boolean {
    if (id > this.#lastId) return false;
    const ids = this.of(did);
    return erasedKindsOf(write).some((kind) => id <= (ids.get(kind) ?? 0));
  }
}

function readIds(value: Buffer): Map<ErasedKind, number> {
  const reader = readValue(value);
  const ids = new Map<ErasedKind, number>();
  while (reader.remaining > 0) {
    const kind = erasedKinds[reader.u8()];
    invariant(kind !== undefined, 'a stored kind of erasure is one that was given out');
    ids.set(kind, reader.varint());
  }
  return ids;
}
