/** An immutable set of keys, such as the references of lists, found by their bytes. */
import { xxh32 } from '../../base/xxh32.ts';

/** A set without its keys, and what a key takes besides its bytes. */
const setBytes = 480;
const keyBytes = 8;

/** Returns the number by which a key is found. */
export function hashOfKey(source: Buffer, start: number, end: number): number {
  return xxh32(source.subarray(start, end)) | 0;
}

/** All classes of keys, as bits. */
export const allKeyClasses = -1;

/** Returns the bit of a key's class, one of 32: sets without a class have none of its keys. */
export function classOfKey(hash: number): number {
  return 1 << (hash & 31);
}

/** Keys to look for: ranges of their bytes in a message, their hashes, and the classes of all. */
export type KeyRanges = {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly hashes: readonly number[];
  readonly classes: number;
};

export class KeySet {
  /** Sorted; the key of the one at `index` is `#keys[#ends[index - 1]..#ends[index])`. */
  readonly #hashes: Int32Array;
  readonly #keys: Buffer;
  readonly #ends: Int32Array;

  /** For `keySetOf` only. */
  constructor(hashes: Int32Array, keys: Buffer, ends: Int32Array) {
    this.#hashes = hashes;
    this.#keys = keys;
    this.#ends = ends;
  }

  /** The memory that the set takes; 0 for the shared empty one. */
  get bytes(): number {
    return this.#hashes.length === 0 ? 0 : setBytes + this.#keys.length + keyBytes * this.#hashes.length;
  }

  /** The bits of the classes of all keys. */
  get classes(): number {
    return this.#hashes.reduce((bits, hash) => bits | classOfKey(hash), 0);
  }

  /** Returns the index of the first of some keys in `source` that the set contains, or -1. */
  firstOf(source: Buffer, { starts, ends, hashes }: KeyRanges): number {
    if (this.#hashes.length === 0) return -1;
    for (let index = 0; index < hashes.length; index++) {
      if (this.#has(source, starts[index]!, ends[index]!, hashes[index]!)) return index;
    }
    return -1;
  }

  #has(source: Buffer, start: number, end: number, wanted: number): boolean {
    const hashes = this.#hashes;
    let from = 0;
    let to = hashes.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (hashes[middle]! < wanted) from = middle + 1;
      else to = middle;
    }
    for (; from < hashes.length && hashes[from] === wanted; from++) {
      const keyStart = from === 0 ? 0 : this.#ends[from - 1]!;
      if (source.compare(this.#keys, keyStart, this.#ends[from], start, end) === 0) return true;
    }
    return false;
  }
}

/** Shared, since most actors are on no list. */
const noKeys = new KeySet(new Int32Array(0), Buffer.alloc(0), new Int32Array(0));

/** Hashes times this are exact numbers. */
const keysMax = 2 ** 20;

/** Returns the set of some keys, which are copied. Shape: all different, at most `keysMax`. */
export function keySetOf(keys: readonly Buffer[]): KeySet {
  if (keys.length === 0) return noKeys;
  // Numbers that sort by hash and name the key.
  const sorted = Float64Array.from(keys, (key, index) => hashOfKey(key, 0, key.length) * keysMax + index).sort();
  const hashes = new Int32Array(keys.length);
  const ends = new Int32Array(keys.length);
  const all = Buffer.allocUnsafeSlow(keys.reduce((bytes, key) => bytes + key.length, 0));
  let end = 0;
  for (const [at, number] of sorted.entries()) {
    hashes[at] = Math.floor(number / keysMax);
    end += keys[number - hashes[at]! * keysMax]!.copy(all, end);
    ends[at] = end;
  }
  return new KeySet(hashes, all, ends);
}
