/**
 * A table of values by DID that looks up the bytes of a did:plc without making a string.
 *
 * Open addressing with linear probing. An index belongs to its DID until `clear`, so that a client
 * can keep arrays by index. Its capacity is fixed; the caller clears a full table. Only the buckets
 * grow with the DIDs, since those of few are in the processor's cache.
 */
import { plcDidLength, plcHead, plcLetterWords } from '../../atproto/did-plc.ts';

/** The first words of every did:plc, four characters each. */
const [headWord, methodWord] = [0x3a646964, 0x3a636c70];

/** A read of a word for request bytes only, as in row-finder.ts. */
function wordAt(source: Buffer, at: number): number {
  return source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
}

function isPlc(source: Buffer, start: number, end: number): boolean {
  return end - start === plcDidLength && wordAt(source, start) === headWord && wordAt(source, start + 4) === methodWord;
}

/** One DID's value, its owner as a number, and the bytes accounted for it. */
export type DidEntry<Value> = { readonly value: Value; readonly ownerKey: number; readonly bytes: number };

const bucketsMin = 1024;

/** Adds four characters of a DID to its hash. */
function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

const hashStart = 0x811c9dc5;

export class DidTable<Value> {
  readonly #didsMax: number;
  /** The index of each bucket's DID + 1, 0 in an empty bucket. At most half of them are used. */
  #buckets = new Int32Array(bucketsMin);
  #mask = bucketsMin - 1;
  /** The characters after `did:plc:` by index, four to a word. */
  readonly #ids: Int32Array;
  /** The same of the DID that is being looked up. */
  readonly #sought = new Int32Array(plcLetterWords);
  readonly #ownerKeys: Float64Array;
  readonly #bytes: Int32Array;
  readonly #indexByOtherDid = new Map<string, number>();
  readonly #indexByOwnerKey = new Map<number, number>();
  readonly #values: (Value | undefined)[] = [];
  #didCount = 0;
  #plcCount = 0;
  /** The number of values; a DID whose value was removed keeps its index. */
  count = 0;
  bytes = 0;

  constructor(didsMax: number) {
    this.#didsMax = didsMax;
    this.#ids = new Int32Array(didsMax * plcLetterWords);
    this.#ownerKeys = new Float64Array(didsMax);
    this.#bytes = new Int32Array(didsMax);
  }

  /** True when `add` has no index left. */
  get isFull(): boolean {
    return this.#didCount >= this.#didsMax;
  }

  /** Loads the did:plc at `source[start..]` into `#sought`; returns the first bucket to probe. */
  #seek(source: Buffer, start: number): number {
    const sought = this.#sought;
    let hash = hashStart;
    for (let index = 0, at = start + plcHead.length; index < plcLetterWords; index++, at += 4) {
      const word = wordAt(source, at);
      sought[index] = word;
      hash = mix(hash, word);
    }
    return hash & this.#mask;
  }

  #isSought(index: number): boolean {
    const ids = this.#ids;
    const sought = this.#sought;
    const own = index * plcLetterWords;
    return (
      ids[own] === sought[0] &&
      ids[own + 1] === sought[1] &&
      ids[own + 2] === sought[2] &&
      ids[own + 3] === sought[3] &&
      ids[own + 4] === sought[4] &&
      ids[own + 5] === sought[5]
    );
  }

  /** Returns the index of the DID at `source[start..end)`, or -1. */
  indexOf(source: Buffer, start: number, end: number): number {
    if (!isPlc(source, start, end)) return this.#indexByOtherDid.get(source.latin1Slice(start, end)) ?? -1;
    const buckets = this.#buckets;
    for (let bucket = this.#seek(source, start); ; bucket = (bucket + 1) & this.#mask) {
      const index = buckets[bucket]! - 1;
      if (index < 0 || this.#isSought(index)) return index;
    }
  }

  /** Returns the index of the DID at `source[start..end)`, maybe a new one. Shape: not full. */
  add(source: Buffer, start: number, end: number): number {
    const known = this.indexOf(source, start, end);
    if (known >= 0) return known;
    const index = this.#didCount++;
    if (!isPlc(source, start, end)) {
      this.#indexByOtherDid.set(source.latin1Slice(start, end), index);
      return index;
    }
    this.#seek(source, start);
    this.#ids.set(this.#sought, index * plcLetterWords);
    this.#plcCount++;
    if (this.#plcCount * 2 > this.#buckets.length) this.#grow();
    else this.#link(index);
    return index;
  }

  /** Puts the index of a did:plc into the first free bucket. */
  #link(index: number): void {
    let hash = hashStart;
    const own = index * plcLetterWords;
    for (let word = 0; word < plcLetterWords; word++) hash = mix(hash, this.#ids[own + word]!);
    let bucket = hash & this.#mask;
    while (this.#buckets[bucket] !== 0) bucket = (bucket + 1) & this.#mask;
    this.#buckets[bucket] = index + 1;
  }

  #grow(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2);
    this.#mask = this.#buckets.length - 1;
    const others = new Set(this.#indexByOtherDid.values());
    for (let index = 0; index < this.#didCount; index++) if (!others.has(index)) this.#link(index);
  }

  /** Returns the value at an index; undefined for a removed one. */
  valueAt(index: number): Value | undefined {
    return this.#values[index];
  }

  /** Sets the value at an index that `add` returned. */
  put(index: number, { value, ownerKey, bytes }: DidEntry<Value>): void {
    this.remove(index);
    this.#values[index] = value;
    this.#ownerKeys[index] = ownerKey;
    this.#indexByOwnerKey.set(ownerKey, index);
    this.#bytes[index] = bytes;
    this.bytes += bytes;
    this.count++;
  }

  /** Removes and returns the entry at an index; undefined when there is none, as for -1. */
  remove(index: number): DidEntry<Value> | undefined {
    const value = index < 0 ? undefined : this.#values[index];
    if (value === undefined) return undefined;
    const bytes = this.#bytes[index]!;
    this.#values[index] = undefined;
    this.bytes -= bytes;
    this.count--;
    return { value, ownerKey: this.#ownerKeys[index]!, bytes };
  }

  /** Returns the index of an owner's DID, or -1. */
  indexOfOwner(ownerKey: number): number {
    return this.#indexByOwnerKey.get(ownerKey) ?? -1;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.#indexByOtherDid.clear();
    this.#indexByOwnerKey.clear();
    this.#values.length = 0;
    this.#didCount = 0;
    this.#plcCount = 0;
    this.count = 0;
    this.bytes = 0;
  }
}
