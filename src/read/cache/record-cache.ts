/**
 * The `Record` messages that a serving thread answers with, and rows of counts, outside the JavaScript heap.
 *
 * A read of a stored row costs a walk down a tree of pages, most of it waiting for memory; a hit here
 * costs two looks at memory and no object.
 *
 * Policy: a FIFO ring of bytes, found through a four-way set-associative index of key hashes. Admission
 * is a doorkeeper: a key is admitted at its second miss while the index still has the note of its first,
 * so that one walk through many records evicts nothing. Once the ring is full, it admits only one in
 * `admissionRatio` of those: keys in frequent use get in all the same, and where more keys are in use
 * than fit, little is spent on records that would be evicted before their next use.
 *
 * Coherence: whoever calls `invalidate` has refreshed this thread's reads first, so that whatever is
 * read and set afterwards is not older than what was invalidated.
 *
 * ```
 * index: sets of four ways: hash, position (0 = noted at its first miss), int32 each
 * ring:  head of four int32, key, message
 * head:  slot << 16 | key bytes, message bytes, JSON bytes, post flags << 8 | JSON's offset in the message
 * ```
 */
import { invariant } from '../../base/invariant.ts';
import { hashOfRecordKey } from '../../slot/table/record-changes.ts';
import type { SlotChanges, SlotState } from '../../slot/table/slot-state.ts';
import type { CacheStats } from './cache-stats.ts';

/** Entries begin at multiples of this in the ring. Units: bytes. */
const unitBytes = 16;
const headBytes = 16;
const setWays = 4;
const wayWords = 2;
const setWords = setWays * wayWords;
const setBytes = setWords * 4;
/** One set for so many bytes of capacity; a record takes two to four hundred. */
const capacityBytesPerSet = 256;
/** Larger records are read from storage each time. Units: bytes of one entry. */
const entryBytesMax = 32 * 1024;
const admissionRatio = 8;
/** Positions rise through all laps of the ring, for 32 GiB of records; then the cache starts anew. */
const positionMaxDefault = 2 ** 31 - 1;
/** What the fields of a head can hold. */
const keyBytesMax = 0xffff;
const jsonOffsetMax = 0xff;
const slotMax = 0xffff;

/** One record's message, with the range of the JSON in it. */
export type RecordMessage = {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly jsonStart: number;
  readonly jsonEnd: number;
  readonly postFlags: number;
};

/** Mutable for the cache alone, which has one for all hits. */
class HitScratch implements RecordMessage {
  source: Buffer;
  start = 0;
  end = 0;
  jsonStart = 0;
  jsonEnd = 0;
  postFlags = 0;

  constructor(source: Buffer) {
    this.source = source;
  }
}

/** Records and counts by slot and row key. */
export class RecordCache implements CacheStats {
  readonly capacityBytes: number;
  /** Whether the key that the last `get` missed should be set. */
  shouldAdmit = false;
  hits = 0;
  misses = 0;
  evictions = 0;

  readonly #ring: Buffer;
  readonly #heads: Int32Array;
  readonly #index: Int32Array;
  readonly #hit: HitScratch;
  readonly #setMask: number;
  readonly #positionMax: number;
  /** Units: `unitBytes`. */
  readonly #ringUnits: number;
  /** Where this lap of the ring began, and where the next entry goes. Units: `unitBytes`, over all laps. */
  #lapStart = 0;
  #next = 0;
  /** Entries below this are overwritten. Never 0, which means none. */
  #oldest = 0;
  /** The first entry that is not counted as evicted. */
  #tail = 0;
  #admissionTurn = 0;
  readonly #stateBySlot: (SlotState | undefined)[] = [];

  /** `capacityBytes` is for ring and index together; 0 caches nothing. A lower `positionMax` is for tests. */
  constructor(capacityBytes: number, positionMax = positionMaxDefault) {
    this.#positionMax = positionMax;
    const sets =
      capacityBytes < 2 * capacityBytesPerSet ? 0 : 2 ** Math.floor(Math.log2(capacityBytes / capacityBytesPerSet));
    this.#ringUnits = Math.floor((capacityBytes - sets * setBytes) / unitBytes) * Math.sign(sets);
    this.#index = new Int32Array(sets * setWords);
    this.#setMask = sets - 1;
    // Memory that was never written to takes no room.
    this.#ring = Buffer.allocUnsafeSlow(this.#ringUnits * unitBytes);
    this.#heads = new Int32Array(this.#ring.buffer, 0, this.#ring.length / 4);
    this.#hit = new HitScratch(this.#ring);
    this.capacityBytes = this.#ring.length + this.#index.byteLength;
    this.#startAnew();
  }

  /** The index, and what was written of the ring. */
  get bytes(): number {
    const units = this.#oldest === 1 ? this.#next - 1 : this.#ringUnits;
    return this.#index.byteLength + units * unitBytes;
  }

  /**
   * Returns the record whose row is `key` in the slot of `state`, or undefined and `shouldAdmit`.
   *
   * Shape: one object for all hits, valid until the next `get` or `set`.
   */
  get(state: SlotState, key: Buffer): RecordMessage | undefined {
    if (this.#ringUnits === 0) return undefined;
    const hash = this.#hashOf(state, key);
    const head = this.#lookup(state.index, key, hash);
    if (head >= 0) {
      this.hits++;
      return this.#setHit(head, key.length);
    }
    this.misses++;
    this.shouldAdmit = this.#noteMiss(hash) && this.#passesRatio();
    return undefined;
  }

  /** True while the record is cached. Counts neither as a hit nor as a miss. */
  has(state: SlotState, key: Buffer): boolean {
    return this.#ringUnits > 0 && this.#lookup(state.index, key, this.#hashOf(state, key)) >= 0;
  }

  /**
   * Caches a record and returns it as `get` does; undefined for one that is too large, which leaves the
   * cache as it was.
   */
  set(state: SlotState, key: Buffer, message: RecordMessage): RecordMessage | undefined {
    const { source, start, end, postFlags } = message;
    const jsonOffset = message.jsonStart - start;
    const units = Math.ceil((headBytes + key.length + end - start) / unitBytes);
    if (units * unitBytes > entryBytesMax || units > this.#ringUnits) return undefined;
    invariant(state.index <= slotMax && key.length > 0 && key.length <= keyBytesMax, 'a head holds slot and key bytes');
    invariant(jsonOffset >= 0 && jsonOffset <= jsonOffsetMax, 'the JSON begins in the first bytes of a message');
    const hash = this.#hashOf(state, key);
    const position = this.#makeRoom(units);
    const at = (position - this.#lapStart) * unitBytes;
    const head = at >>> 2;
    this.#heads[head] = (state.index << 16) | key.length;
    this.#heads[head + 1] = end - start;
    this.#heads[head + 2] = message.jsonEnd - message.jsonStart;
    this.#heads[head + 3] = (postFlags << 8) | jsonOffset;
    key.copy(this.#ring, at + headBytes, 0, key.length);
    source.copy(this.#ring, at + headBytes + key.length, start, end);
    const way = this.#victimWay(hash);
    this.#index[way] = hash;
    this.#index[way + 1] = position;
    return this.#setHit(head, key.length);
  }

  /** Drops the records of a slot whose rows a commit changed; null: too many to name. */
  invalidate(slot: number, hashes: SlotChanges['records']): void {
    if (this.#ringUnits === 0) return;
    if (hashes === null) this.#startAnew();
    else for (const hash of hashes) this.#invalidateHash(hashIn(slot, hash));
  }

  #invalidateHash(hash: number): void {
    const set = (hash & this.#setMask) * setWords;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (this.#index[way] !== hash) continue;
      const position = this.#index[way + 1]!;
      this.#index[way + 1] = 0;
      if (position >= this.#oldest) this.#setFiller(position, this.#unitsAt(position));
    }
  }

  /** Makes units of the ring an entry without a key, which is none. */
  #setFiller(position: number, units: number): void {
    const head = this.#headOf(position);
    this.#heads[head] = 0;
    this.#heads[head + 1] = units * unitBytes - headBytes;
  }

  #unitsAt(position: number): number {
    const head = this.#headOf(position);
    return Math.ceil((headBytes + (this.#heads[head]! & keyBytesMax) + this.#heads[head + 1]!) / unitBytes);
  }

  #passesRatio(): boolean {
    if (this.#oldest === 1) return true;
    this.#admissionTurn = (this.#admissionTurn + 1) % admissionRatio;
    return this.#admissionTurn === 0;
  }

  #hashOf(state: SlotState, key: Buffer): number {
    const slot = state.index;
    if (this.#stateBySlot[slot] !== state) this.#replace(state);
    return hashIn(slot, hashOfRecordKey(key));
  }

  /** Another handle of a slot may be of another copy of it, with other owner numbers. */
  #replace(state: SlotState): void {
    if (this.#stateBySlot[state.index] !== undefined) this.#startAnew();
    this.#stateBySlot[state.index] = state;
  }

  /** Returns the index in `#heads` of an entry, or -1. */
  #lookup(slot: number, key: Buffer, hash: number): number {
    const index = this.#index;
    const set = (hash & this.#setMask) * setWords;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (index[way] !== hash) continue;
      const position = index[way + 1]!;
      if (position < this.#oldest) continue;
      const head = this.#headOf(position);
      if (this.#isKeyAt(head, slot, key)) return head;
    }
    return -1;
  }

  /** Returns the index in `#heads` of a position of this lap, or of what is left of the one before. */
  #headOf(position: number): number {
    const unit = position - this.#lapStart;
    return (unit < 0 ? unit + this.#ringUnits : unit) * (unitBytes / 4);
  }

  #isKeyAt(head: number, slot: number, key: Buffer): boolean {
    if (this.#heads[head] !== ((slot << 16) | key.length)) return false;
    const at = head * 4 + headBytes;
    for (let index = 0; index < key.length; index++) if (this.#ring[at + index] !== key[index]) return false;
    return true;
  }

  #setHit(head: number, keyBytes: number): RecordMessage {
    const heads = this.#heads;
    const hit = this.#hit;
    const tail = heads[head + 3]!;
    hit.start = head * 4 + headBytes + keyBytes;
    hit.end = hit.start + heads[head + 1]!;
    hit.jsonStart = hit.start + (tail & jsonOffsetMax);
    hit.jsonEnd = hit.jsonStart + heads[head + 2]!;
    hit.postFlags = tail >> 8;
    return hit;
  }

  /** Notes a miss. Returns false for a key's first one; true too when the set has no room for the note. */
  #noteMiss(hash: number): boolean {
    const index = this.#index;
    const set = (hash & this.#setMask) * setWords;
    let free = -1;
    // Each hash begins at a way of its own, lest two that miss in turn overwrite each other's note for ever.
    for (let turn = 0, way = hash >>> 30; turn < setWays; turn++, way = (way + 1) % setWays) {
      const at = set + way * wayWords;
      if (index[at] === hash) return true;
      if (index[at + 1]! < this.#oldest && (free < 0 || (index[at] === 0 && index[free] !== 0))) free = at;
    }
    if (free < 0) return true;
    index[free] = hash;
    index[free + 1] = 0;
    return false;
  }

  /** Returns the way of a set for a new entry: that of its hash, else a free one, else the oldest entry's. */
  #victimWay(hash: number): number {
    const index = this.#index;
    const set = (hash & this.#setMask) * setWords;
    let oldest = set;
    for (let way = set; way < set + setWords; way += wayWords) {
      if (index[way] === hash) return way;
      if (index[way + 1]! < index[oldest + 1]!) oldest = way;
    }
    return oldest;
  }

  /** Returns the position of so many units in a row, evicting the oldest entries. */
  #makeRoom(units: number): number {
    if (this.#next + units > this.#lapStart + this.#ringUnits) this.#wrap();
    const position = this.#next;
    this.#next += units;
    this.#oldest = Math.max(this.#oldest, this.#next - this.#ringUnits);
    this.#countEvictions(this.#oldest);
    return position;
  }

  /** Counts the entries below a position, whose heads are still there. */
  #countEvictions(below: number): void {
    for (; this.#tail < below; this.#tail += this.#unitsAt(this.#tail)) {
      if (this.#heads[this.#headOf(this.#tail)] !== 0) this.evictions++;
    }
  }

  /** Begins the next lap of the ring; a filler takes what is left of this one. */
  #wrap(): void {
    this.#countEvictions(this.#lapStart);
    const left = this.#lapStart + this.#ringUnits - this.#next;
    if (left > 0) this.#setFiller(this.#next, left);
    this.#lapStart += this.#ringUnits;
    this.#next = this.#lapStart;
    if (this.#lapStart + 2 * this.#ringUnits > this.#positionMax) this.#startAnew();
  }

  #startAnew(): void {
    this.#index.fill(0);
    this.#lapStart = 1;
    this.#next = 1;
    this.#oldest = 1;
    this.#tail = 1;
  }
}

/** Sets are chosen by the low bits, which the slot must reach. */
function hashIn(slot: number, hash: number): number {
  return hash ^ Math.imul(slot, 0x9e3779b1);
}
