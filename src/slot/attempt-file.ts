/**
 * What a slot was about to apply when its process died, so that an entry that ends the process is
 * put aside instead of ending it for ever.
 *
 * Owns: the file `attempt` beside the slot's data, 32 bytes, written in place before each
 * transaction and not synced: it has to outlive the process, not the machine. After a death in a
 * transaction that never committed, each entry up to the end of that batch is named before it is
 * applied; one that was named at two deaths is not tried again.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Deaths at one entry before it is put aside. */
export const deathsMax = 2;

const fileBytes = 32;
const checkedBytes = 28;
const magic = 0x736b7961;
const what = { nothing: 0, batch: 1, entry: 2, work: 3 } as const;
type What = (typeof what)[keyof typeof what];

type Named = { readonly what: What; readonly hash: number; readonly bytes: number };
const unnamed = (kind: What): Named => ({ what: kind, hash: 0, bytes: 0 });

export class AttemptFile {
  readonly #file: number;
  readonly #buffer = Buffer.alloc(fileBytes);
  /** What the process died at, and how often; null unless it died there. */
  #suspect: (Named & { readonly deaths: number }) | null = null;
  #carefulUntilSeq = 0;
  #cursor = 0;
  #lastSeq = 0;

  /** Reads what an earlier process left. `cursor` is the slot's, as committed. */
  constructor(folder: string, cursor: number) {
    this.#file = openSync(join(folder, 'attempt'), 'a+', 0o600);
    closeSync(this.#file);
    this.#file = openSync(join(folder, 'attempt'), 'r+');
    const left = Buffer.alloc(fileBytes);
    const isWhole = readSync(this.#file, left, 0, fileBytes, 0) === fileBytes && left.readUInt32BE(0) === magic;
    if (!isWhole || crc32(left.subarray(0, checkedBytes)) !== left.readUInt32BE(checkedBytes)) return;
    const kind = left[4] as What;
    // Another cursor: that transaction was committed.
    if (kind === what.nothing || left.readUIntBE(6, 6) !== cursor) return;
    this.#carefulUntilSeq = left.readUIntBE(12, 6);
    if (kind === what.batch) return;
    this.#suspect = { what: kind, hash: left.readUInt32BE(18), bytes: left.readUInt32BE(22), deaths: left[5]! + 1 };
  }

  /** True while entries are named one by one. */
  get isCareful(): boolean {
    return this.#cursor < this.#carefulUntilSeq;
  }

  /** Names what a transaction is about to apply: entries up to `lastSeq`, or `only` one. */
  beginBatch(cursor: number, lastSeq: number, only: Uint8Array | null): void {
    this.#cursor = cursor;
    this.#lastSeq = Math.max(lastSeq, this.#carefulUntilSeq);
    this.#write(only === null ? unnamed(what.batch) : this.#nameOf(what.entry, only));
  }

  /** Names one entry. Returns true when it is not to be tried again. */
  beginEntry(item: Uint8Array): boolean {
    return this.#begin(what.entry, item);
  }

  /** Names a piece of long work by its key. Returns true when it is not to be tried again. */
  beginWork(key: Uint8Array): boolean {
    return this.#begin(what.work, key);
  }

  /** Nothing is being applied: a death from here on says nothing. */
  end(): void {
    this.#write(unnamed(what.batch));
  }

  #begin(kind: What, item: Uint8Array): boolean {
    const named = this.#nameOf(kind, item);
    const deaths = this.#write(named);
    if (deaths < deathsMax) return false;
    this.#suspect = null;
    return true;
  }

  #nameOf(kind: What, item: Uint8Array): Named {
    return { what: kind, hash: crc32(item), bytes: item.length };
  }

  /** Returns at how many deaths this was named before. */
  #write(named: Named): number {
    const suspect = this.#suspect;
    const isSuspect =
      suspect !== null && suspect.what === named.what && suspect.hash === named.hash && suspect.bytes === named.bytes;
    const deaths = isSuspect ? suspect.deaths : 0;
    const buffer = this.#buffer;
    buffer.writeUInt32BE(magic, 0);
    buffer[4] = named.what;
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
    this.#write(unnamed(what.nothing));
    closeSync(this.#file);
  }
}
