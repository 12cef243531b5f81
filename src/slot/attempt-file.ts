/**
 * What a slot was about to apply when its process died, so that an entry that ends the process is
 * set aside instead of ending it for ever.
 *
 * Owns: the file `attempt` beside the slot's data, 32 bytes, written in place before each
 * transaction and not synced: it has to outlive the process, not the machine. After a death in a
 * transaction that never committed, each entry up to the end of that batch is named before it is
 * applied; one that was named at two deaths is not tried again.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Deaths at one entry before it is set aside. */
const deathsMax = 2;

const fileBytes = 32;
const checkedBytes = 28;
const magic = 0x736b7961;
const attemptKind = { nothing: 0, batch: 1, entry: 2, work: 3 } as const;
type AttemptKind = (typeof attemptKind)[keyof typeof attemptKind];

type Attempt = { readonly kind: AttemptKind; readonly hash: number; readonly bytes: number };
const unnamed = (kind: AttemptKind): Attempt => ({ kind, hash: 0, bytes: 0 });

export class AttemptFile {
  readonly #file: number;
  readonly #buffer = Buffer.alloc(fileBytes);
  /** What the process died at, and how often; null unless it died there. */
  #suspect: (Attempt & { readonly deaths: number }) | null = null;
  #carefulUntilSeq = 0;
  #cursor = 0;
  #lastSeq = 0;

  /** Reads what an earlier process left. `cursor` is the slot's, as committed. */
  constructor(folder: string, cursor: number) {
    const path = join(folder, 'attempt');
    // Made if it is missing; what is opened to append could not be written in place.
    closeSync(openSync(path, 'a', 0o600));
    this.#file = openSync(path, 'r+');
    const left = Buffer.alloc(fileBytes);
    const isWhole = readSync(this.#file, left, 0, fileBytes, 0) === fileBytes && left.readUInt32BE(0) === magic;
    if (!isWhole || crc32(left.subarray(0, checkedBytes)) !== left.readUInt32BE(checkedBytes)) return;
    const kind = left[4] as AttemptKind;
    // Another cursor: that transaction was committed.
    if (kind === attemptKind.nothing || left.readUIntBE(6, 6) !== cursor) return;
    this.#carefulUntilSeq = left.readUIntBE(12, 6);
    if (kind === attemptKind.batch) return;
    this.#suspect = { kind, hash: left.readUInt32BE(18), bytes: left.readUInt32BE(22), deaths: left[5]! + 1 };
  }

  /** True while entries are named one by one. */
  get isCareful(): boolean {
    return this.#cursor < this.#carefulUntilSeq;
  }

  /** Names what a transaction is about to apply: entries up to `lastSeq`, or `only` one. */
  beginBatch(cursor: number, lastSeq: number, only: Uint8Array | null): void {
    this.#cursor = cursor;
    this.#lastSeq = Math.max(lastSeq, this.#carefulUntilSeq);
    this.#write(only === null ? unnamed(attemptKind.batch) : this.#nameOf(attemptKind.entry, only));
  }

  /** Names one entry. Returns true when it is not to be tried again. */
  beginEntry(item: Uint8Array): boolean {
    return this.#begin(attemptKind.entry, item);
  }

  /** Names a piece of long work by its key. Returns true when it is not to be tried again. */
  beginWork(key: Uint8Array): boolean {
    return this.#begin(attemptKind.work, key);
  }

  /** Nothing is being applied: a death from here on says nothing. */
  end(): void {
    this.#write(unnamed(attemptKind.batch));
  }

  #begin(kind: AttemptKind, item: Uint8Array): boolean {
    const named = this.#nameOf(kind, item);
    const deaths = this.#write(named);
    if (deaths < deathsMax) return false;
    this.#suspect = null;
    return true;
  }

  #nameOf(kind: AttemptKind, item: Uint8Array): Attempt {
    return { kind, hash: crc32(item), bytes: item.length };
  }

  /** Returns at how many deaths this was named before. */
  #write(named: Attempt): number {
    const suspect = this.#suspect;
    const isSuspect =
      suspect !== null && suspect.kind === named.kind && suspect.hash === named.hash && suspect.bytes === named.bytes;
    const deaths = isSuspect ? suspect.deaths : 0;
    const buffer = this.#buffer;
    buffer.writeUInt32BE(magic, 0);
    buffer[4] = named.kind;
    buffer[5] = deaths;
    buffer.writeUIntBE(this.#cursor, 6, 6);
    buffer.writeUIntBE(this.#lastSeq, 12, 6);
    buffer.writeUInt32BE(named.hash, 18);
    buffer.writeUInt32BE(named.bytes, 22);
    buffer.writeUInt32BE(crc32(buffer.subarray(0, checkedBytes)), checkedBytes);
    writeSync(this.#file, buffer, 0, fileBytes, 0);
    return deaths;
  }

  /** Says that the process ends in order. */
  close(): void {
    this.#write(unnamed(attemptKind.nothing));
    closeSync(this.#file);
  }
}
