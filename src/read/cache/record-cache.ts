/**
 * What a serving thread remembers of records, outside the JavaScript heap: the `Record` messages that it answers with, and rows of counts.
 *
 * A read of a stored row costs a walk down a tree of pages, most of it waiting for memory; a hit here costs two places in memory and no
 * object. Owns: one ring of bytes, where each new record takes the place of the oldest, and a table from key hashes to places in it,
 * in sets of four. A record is kept when it is asked for again while its hash still stands in the table, so that one walk through many
 * records does not push out those that are asked for often. Filled from the newest commit only: whoever calls
 * `forget` has refreshed this thread's reads first, so that what is read afterwards is not older than what was forgotten.
 *
 * ```
 * table: sets of four (hash, position: 0 = asked for once, not kept), int32 each
 * ring:  slot << 16 | key bytes, message bytes, JSON bytes, post flags << 8 | where the JSON begins, int32 each; key; message
 * ```
 */
import { hashOfRecordKey } from '../../slot/table/record-changes.ts';
import type { SlotChanges, SlotState } from '../../slot/table/slot-state.ts';

/** Places in the ring are multiples of this. Units: bytes. */
const unitBytes = 16;
const headBytes = 16;
const setWays = 4;
const wayWords = 2;
const setWords = setWays * wayWords;
const setBytes = setWords * 4;
/** A set for so many bytes of the cache; a record takes two to four hundred. */
const bytesOfSet = 256;
/** Larger records are read from storage each time. Units: bytes of one entry. */
const entryBytesMax = 32 * 1024;
/**
 * Once the ring is full, one record is kept for so many that are asked for again. Those that are asked for often get in all the same, and
 * where more records are asked for than there is room, little is spent on bringing in what is pushed out before it is asked for.
 */
const askedAgainOfKept = 8;
/** Positions count up through all laps of the ring, which takes 32 GiB of records; past this the cache begins anew. */
const positionMaxDefault = 2 ** 31 - 1;

/** One record's message, as the cache takes it: where it and the JSON within it stand. */
export type RecordMessage = {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly jsonStart: number;
  readonly jsonEnd: number;
  readonly postFlags: number;
};

/** Remembers records, and their counts, by slot and row key. After a `find` or `keep` that returned true the fields say where the record stands. */
export class RecordCache {
  /** Holds the message at `start` to `end`, and its JSON at `jsonStart` to `jsonEnd`. Valid until the next `keep`. */
  readonly bytes: Buffer;
  start = 0;
  end = 0;
  jsonStart = 0;
  jsonEnd = 0;
  postFlags = 0;
  /** Whether the record that the last `find` did not find is worth keeping. */
  isWanted = false;
  hitCount = 0;
  missCount = 0;

  readonly #heads: Int32Array;
  readonly #table: Int32Array;
  readonly #setMask: number;
  readonly #positionMax: number;
  /** Units: `unitBytes`. */
  readonly #ringUnits: number;
  /** Where this lap of the ring began, and where the next record goes. Units: `unitBytes`, over all laps. */
  #lapStart = 0;
  #next = 0;
  /** Positions below this have been overwritten. Never 0, which means none. */
  #oldest = 0;
  #askedAgainCount = 0;
  readonly #stateBySlot: (SlotState | undefined)[] = [];

  /** `bytesMax` is for ring and table together; 0 remembers nothing. A lower `positionMax` is for tests. */
  constructor(bytesMax: number, positionMax = positionMaxDefault) {
    this.#positionMax = positionMax;
    const sets = bytesMax < 2 * bytesOfSet ? 0 : 2 ** Math.floor(Math.log2(bytesMax / bytesOfSet));
    this.#ringUnits = Math.floor((bytesMax - sets * setBytes) / unitBytes) * Math.sign(sets);
    this.#table = new Int32Array(sets * setWords);
    this.#setMask = sets - 1;
    // Memory that nothing was written to yet takes no room.
    this.bytes = Buffer.allocUnsafeSlow(this.#ringUnits * unitBytes);
    this.#heads = new Int32Array(this.bytes.buffer, 0, this.bytes.length / 4);
    this.#startAnew();
  }

  /** Memory set aside, outside the JavaScript heap. */
  get reservedBytes(): number {
    return this.bytes.length + this.#table.byteLength;
  }

  /** Looks for the record whose row is `key` in the slot of `state`. */
  find(state: SlotState, key: Buffer): boolean {
    if (this.#ringUnits === 0) return false;
    const hash = this.#hashOf(state, key);
    if (this.#stand(state.index, key, hash)) {
      this.hitCount++;
      return true;
    }
    this.missCount++;
    this.isWanted = !this.#noteAsked(hash) && this.#isAdmitted();
    return false;
  }

  /** True while the record is remembered. Unlike `find` it does not count as asking for it. */
  has(state: SlotState, key: Buffer): boolean {
    return this.#ringUnits > 0 && this.#stand(state.index, key, this.#hashOf(state, key));
  }

  /** Remembers a record. Returns false for one that is too large; the cache is as before then. */
  keep(state: SlotState, key: Buffer, message: RecordMessage): boolean {
    const { source, start, end } = message;
    const bytes = headBytes + key.length + end - start;
    const units = Math.ceil(bytes / unitBytes);
    if (bytes > entryBytesMax || units > this.#ringUnits) return false;
    const hash = this.#hashOf(state, key);
    const position = this.#makeRoom(units);
    const at = (position - this.#lapStart) * unitBytes;
    const head = at >>> 2;
    this.#heads[head] = (state.index << 16) | key.length;
    this.#heads[head + 1] = end - start;
    this.#heads[head + 2] = message.jsonEnd - message.jsonStart;
    this.#heads[head + 3] = (message.postFlags << 8) | (message.jsonStart - start);
    key.copy(this.bytes, at + headBytes, 0, key.length);
    source.copy(this.bytes, at + headBytes + key.length, start, end);
    const way = this.#wayFor(hash);
    this.#table[way] = hash;
    this.#table[way + 1] = position;
    this.#point(head, key.length);
    return true;
  }

  /** Forgets the records of a slot whose rows a commit changed; null: too many to name. */
  forget(slot: number, hashes: SlotChanges['records']): void {
    if (this.#ringUnits === 0) return;
    if (hashes === null) this.#startAnew();
    else for (const hash of hashes) this.#forgetHash(hashIn(slot, hash));
  }

  /** Once the ring is full, only a share of what is asked for again takes the place of something else. */
  #isAdmitted(): boolean {
    if (this.#oldest === 1) return true;
    this.#askedAgainCount = (this.#askedAgainCount + 1) % askedAgainOfKept;
    return this.#askedAgainCount === 0;
  }

  #forgetHash(hash: number): void {
    const set = (hash & this.#setMask) * setWords;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (this.#table[way] === hash) this.#table[way + 1] = 0;
    }
  }

  #hashOf(state: SlotState, key: Buffer): number {
    const slot = state.index;
    if (this.#stateBySlot[slot] !== state) this.#replace(state);
    return hashIn(slot, hashOfRecordKey(key));
  }

  /** Another handle of a slot may stand for another copy of it, with other owner numbers. */
  #replace(state: SlotState): void {
    if (this.#stateBySlot[state.index] !== undefined) this.#startAnew();
    this.#stateBySlot[state.index] = state;
  }

  /** Points the fields at a record. Returns false when it is not remembered. */
  #stand(slot: number, key: Buffer, hash: number): boolean {
    const table = this.#table;
    const set = (hash & this.#setMask) * setWords;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (table[way] !== hash) continue;
      const position = table[way + 1]!;
      if (position < this.#oldest) continue;
      const head = this.#headOf(position);
      if (!this.#isKeyAt(head, slot, key)) continue;
      this.#point(head, key.length);
      return true;
    }
    return false;
  }

  /** Returns the index in `#heads`. A position of the lap before stands behind where this lap has come to. */
  #headOf(position: number): number {
    const unit = position - this.#lapStart;
    return (unit < 0 ? unit + this.#ringUnits : unit) * (unitBytes / 4);
  }

  #isKeyAt(head: number, slot: number, key: Buffer): boolean {
    if (this.#heads[head] !== ((slot << 16) | key.length)) return false;
    const at = head * 4 + headBytes;
    for (let index = 0; index < key.length; index++) if (this.bytes[at + index] !== key[index]) return false;
    return true;
  }

  #point(head: number, keyBytes: number): void {
    const heads = this.#heads;
    const tail = heads[head + 3]!;
    this.start = head * 4 + headBytes + keyBytes;
    this.end = this.start + heads[head + 1]!;
    this.jsonStart = this.start + (tail & 0xff);
    this.jsonEnd = this.jsonStart + heads[head + 2]!;
    this.postFlags = tail >> 8;
  }

  /** Notes that a record was asked for. Returns false when it had been before, or when the set has no room for the note. */
  #noteAsked(hash: number): boolean {
    const table = this.#table;
    const set = (hash & this.#setMask) * setWords;
    let free = -1;
    // Each hash begins at a way of its own, lest two that are asked for in turn take the note from each other for ever.
    for (let turn = 0, way = hash >>> 30; turn < setWays; turn++, way = (way + 1) % setWays) {
      const at = set + way * wayWords;
      if (table[at] === hash) return false;
      if (table[at + 1]! < this.#oldest && (free < 0 || (table[at] === 0 && table[free] !== 0))) free = at;
    }
    if (free < 0) return false;
    table[free] = hash;
    table[free + 1] = 0;
    return true;
  }

  /** Returns where a record goes in its set: where its hash stands, else where nothing is kept, else in place of the oldest. */
  #wayFor(hash: number): number {
    const table = this.#table;
    const set = (hash & this.#setMask) * setWords;
    let oldest = set;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (table[way] === hash) return way;
      if (table[way + 1]! < table[oldest + 1]!) oldest = way;
    }
    return oldest;
  }

  /** Returns the position of so many units in a row, in place of the oldest records. */
  #makeRoom(units: number): number {
    if (this.#next + units > this.#lapStart + this.#ringUnits) {
      this.#lapStart += this.#ringUnits;
      this.#next = this.#lapStart;
      if (this.#lapStart + 2 * this.#ringUnits > this.#positionMax) this.#startAnew();
    }
    const position = this.#next;
    this.#next += units;
    this.#oldest = Math.max(this.#oldest, this.#next - this.#ringUnits);
    return position;
  }

  #startAnew(): void {
    this.#table.fill(0);
    this.#lapStart = 1;
    this.#next = 1;
    this.#oldest = 1;
  }
}

/** Sets are chosen by the low bits, which the slot must reach. */
function hashIn(slot: number, hash: number): number {
  return hash ^ Math.imul(slot, 0x9e3779b1);
}
