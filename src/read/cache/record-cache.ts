/**
 * Caches `Record` messages, counts, labels and hashes of edges of a serving thread, outside the
 * JavaScript heap.
 *
 * A read of a stored row walks down a tree of pages and mostly waits for memory; a hit here reads
 * memory twice and allocates nothing.
 *
 * Policy: a FIFO ring of bytes with a four-way set-associative index by key hash. Admission is a
 * doorkeeper: a key is admitted at its second miss, if the index still has a note of its first, so
 * that one pass over many records evicts nothing. A full ring admits only one in `admissionRatio`
 * of those: frequently used keys get in anyway, and when more keys are in use than fit, little is
 * spent on records that would be evicted before their next use.
 *
 * Coherence: the caller of `invalidate` refreshes this thread's reads first, so that records set
 * afterwards are no older than the invalidation.
 *
 * ```
 * index: sets of four ways: hash, position (0 = note of a first miss), int32 each
 * ring:  head of four int32, key, message
 * head:  slot << 16 | key bytes, message bytes, JSON bytes, post flags << 8 | offset of the JSON
 * ```
 */
import { invariant } from '../../base/invariant.ts';
import { hashOfRecordKey } from '../../slot/table/record-changes.ts';
import type { SlotChanges, SlotState } from '../../slot/table/slot-state.ts';
import type { CacheStats } from './cache-stats.ts';

/** The alignment of entries in the ring. Units: bytes. */
const unitBytes = 16;
const headBytes = 16;
const setWays = 4;
const wayWords = 2;
const setWords = setWays * wayWords;
const setBytes = setWords * 4;
/** One set per so much capacity; a record takes 200 to 400 bytes. */
const capacityBytesPerSet = 256;
/** A line of the processor's cache. Units: int32. */
const lineWords = 16;
/** What a usual record takes. */
const touchedLines = 4;
/** Larger entries are not cached. */
const entryBytesMax = 32 * 1024;
const admissionRatio = 8;
/** Positions grow over all laps of the ring; after 32 GiB of records the cache is emptied. */
const positionMaxDefault = 2 ** 31 - 1;
/** The greatest values that fit in a head. */
const keyBytesMax = 0xffff;
const jsonOffsetMax = 0xff;
const slotMax = 0xffff;

/** One record's message, and the range of the JSON in it. */
export type RecordMessage = {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly jsonStart: number;
  readonly jsonEnd: number;
  readonly postFlags: number;
};

/** The cache's single object for all hits. */
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

export class RecordCache implements CacheStats {
  readonly capacityBytes: number;
  /** Whether the caller should set the key that the last `get` missed. */
  shouldAdmit = false;
  hits = 0;
  misses = 0;
  evictions = 0;
  /** Without a use of what `touch` reads, the compiler would leave the reads out. */
  touched = 0;

  readonly #ring: Buffer;
  readonly #heads: Int32Array;
  readonly #index: Int32Array;
  readonly #hit: HitScratch;
  readonly #setMask: number;
  readonly #positionMax: number;
  /** Units: `unitBytes`. */
  readonly #ringUnits: number;
  /** Positions, in units over all laps: the start of this lap, and that of the next entry. */
  #lapStart = 0;
  #next = 0;
  /** Entries below this are overwritten. At least 1, since position 0 means none. */
  #oldest = 0;
  /** The first entry that is not yet counted as evicted. */
  #tail = 0;
  #admissionTurn = 0;
  readonly #stateBySlot: (SlotState | undefined)[] = [];

  /** `capacityBytes` includes the index; 0 caches nothing. Tests lower `positionMax`. */
  constructor(capacityBytes: number, positionMax = positionMaxDefault) {
    this.#positionMax = positionMax;
    const sets =
      capacityBytes < 2 * capacityBytesPerSet ? 0 : 2 ** Math.floor(Math.log2(capacityBytes / capacityBytesPerSet));
    this.#ringUnits = Math.floor((capacityBytes - sets * setBytes) / unitBytes) * Math.sign(sets);
    this.#index = new Int32Array(sets * setWords);
    this.#setMask = sets - 1;
    // The system provides memory only for what is written.
    this.#ring = Buffer.allocUnsafeSlow(this.#ringUnits * unitBytes);
    this.#heads = new Int32Array(this.#ring.buffer, 0, this.#ring.length / 4);
    this.#hit = new HitScratch(this.#ring);
    this.capacityBytes = this.#ring.length + this.#index.byteLength;
    this.#startAnew();
  }

  /** The size of the index and of the ring's written part. */
  get bytes(): number {
    const units = this.#oldest === 1 ? this.#next - 1 : this.#ringUnits;
    return this.#index.byteLength + units * unitBytes;
  }

  /**
   * Returns the record whose row is `key` in a slot; undefined on a miss, which sets `shouldAdmit`.
   * `hash` is what `hashOf` returns, for callers that know it.
   *
   * Shape: one object for all hits, valid until the next `get` or `set`.
   */
  get(state: SlotState, key: Buffer, hash = this.hashOf(state, key)): RecordMessage | undefined {
    if (this.#ringUnits === 0) return undefined;
    const head = this.#lookup(state.index, key, hash);
    if (head >= 0) {
      this.hits++;
      return this.#setHit(head, key.length);
    }
    this.misses++;
    this.shouldAdmit = this.#noteMiss(hash) && this.#passesRatio();
    return undefined;
  }

  /** Returns what `touch` and `get` take for the record whose row is `key`. */
  hashOf(state: SlotState, key: Buffer): number {
    if (this.#stateBySlot[state.index] !== state) this.#replace(state);
    return hashIn(state.index, hashOfRecordKey(key));
  }

  /**
   * Reads where `get` will look for these hashes, so that the processor waits for the memory of all
   * of them at once instead of one after another.
   */
  touch(hashes: Int32Array, count: number): void {
    if (this.#ringUnits === 0) return;
    const index = this.#index;
    let sum = 0;
    for (let at = 0; at < count; at++) sum ^= index[(hashes[at]! & this.#setMask) * setWords]!;
    const heads = this.#heads;
    const lastHead = heads.length - touchedLines * lineWords;
    for (let at = 0; at < count; at++) {
      const hash = hashes[at]!;
      const set = (hash & this.#setMask) * setWords;
      for (let way = set; way < set + setWords; way += wayWords) {
        const position = index[way + 1]!;
        if (index[way] !== hash || position < this.#oldest) continue;
        const head = Math.min(this.#headOf(position), lastHead);
        sum ^= heads[head]! ^ heads[head + lineWords]! ^ heads[head + 2 * lineWords]! ^ heads[head + 3 * lineWords]!;
      }
    }
    this.touched ^= sum;
  }

  /** True when the record is cached. Counts neither as a hit nor as a miss. */
  has(state: SlotState, key: Buffer): boolean {
    return this.#ringUnits > 0 && this.#lookup(state.index, key, this.hashOf(state, key)) >= 0;
  }

  /** Caches a record and returns it as `get` does; undefined for one too large to be cached. */
  set(state: SlotState, key: Buffer, message: RecordMessage): RecordMessage | undefined {
    const { source, start, end, postFlags } = message;
    const jsonOffset = message.jsonStart - start;
    const units = Math.ceil((headBytes + key.length + end - start) / unitBytes);
    if (units * unitBytes > entryBytesMax || units > this.#ringUnits) return undefined;
    invariant(state.index <= slotMax && key.length > 0 && key.length <= keyBytesMax, 'a head holds slot and key bytes');
    invariant(jsonOffset >= 0 && jsonOffset <= jsonOffsetMax, 'the JSON begins in the first bytes of a message');
    const hash = this.hashOf(state, key);
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

  /** Drops the records of a slot whose rows a commit changed; null empties the cache. */
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

  /** Overwrites units of the ring with an entry that has no key, which no look-up finds. */
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

  /** A reopened slot may be another copy of it, with other owner numbers. */
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

  /** Returns the index in `#heads` of a position of this lap or the rest of the previous one. */
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

  /** Notes a miss. Returns false for a key's first; true too when its set has no room for notes. */
  #noteMiss(hash: number): boolean {
    const index = this.#index;
    const set = (hash & this.#setMask) * setWords;
    let free = -1;
    // Hashes begin at different ways, lest two that miss in turn overwrite each other's notes.
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

  /** Returns the way for a new entry: that of its hash, else a free one, else the oldest. */
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

  /** Returns the position of so many consecutive units, evicting the oldest entries. */
  #makeRoom(units: number): number {
    if (this.#next + units > this.#lapStart + this.#ringUnits) this.#wrap();
    const position = this.#next;
    this.#next += units;
    this.#oldest = Math.max(this.#oldest, this.#next - this.#ringUnits);
    this.#countEvictions(this.#oldest);
    return position;
  }

  /** Counts the entries below a position, before their heads are overwritten. */
  #countEvictions(below: number): void {
    for (; this.#tail < below; this.#tail += this.#unitsAt(this.#tail)) {
      if (this.#heads[this.#headOf(this.#tail)] !== 0) this.evictions++;
    }
  }

  /** Begins the next lap of the ring; a filler takes the rest of this one. */
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

/** Mixes the slot into the low bits, which choose the set. */
function hashIn(slot: number, hash: number): number {
  return hash ^ Math.imul(slot, 0x9e3779b1);
}
