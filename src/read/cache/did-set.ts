/**
 * An immutable set of the DIDs at which an actor's edges point, in the compact form of keys.
 *
 * A did:plc takes about 38 bytes: its id, its share of a filter and of a hash table with open
 * addressing, and the rkey of the edge, once that was asked for. Other DIDs are few and kept as
 * strings. Most look-ups find nothing and end at the filter, which for a usual set is one line of
 * the processor's cache.
 */
import { didTag, readDid, rkeyTag } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import { tidBytes } from '../../atproto/tid.ts';
import { ByteReader } from '../../base/bytes.ts';
import { classHashOfPlcId, type DidList, hashOfPlcId, plcIdSpan, plcIdWords } from '../lookup/did-list.ts';

const hashBits = 32;
/** A bucket holds the index of an id + 1, above that a part of its hash that tells most others. */
const indexBits = 16;
const indexMask = 2 ** indexBits - 1;
/** Bits of the filter for each bucket; an id sets one of them. */
const filterBits = 4;
/** So few have one word of filter. */
const bucketBitsMin = 3;
const filterWordsOf = (buckets: number): number => (buckets * filterBits) / 32;
/** Maximum probe length. Units: buckets. */
const stepsMax = 256;
const othersMax = 256;
/** A set without its DIDs. */
const setBytes = 640;
const otherBytes = 384;
const rkeyWords = tidBytes / 4;
const noTexts: ReadonlySet<string> = new Set();
const noWords = new Int32Array(0);

/** The id that `hasPlc` looks for; what follows it stays 0, as in a set. */
const soughtWords = new Int32Array(plcIdWords);
const soughtBytes = Buffer.from(soughtWords.buffer);

export class DidSet {
  readonly size: number;
  readonly #plcCount: number;
  /** Of each did:plc the words of its id; after all of them the filter, then the hash table. */
  readonly #words: Int32Array;
  readonly #filterAt: number;
  readonly #filterShift: number;
  /** A bucket is 0 when empty. At most half of them are used. */
  readonly #bucketsAt: number;
  readonly #mask: number;
  readonly #shift: number;
  readonly #others: ReadonlySet<string>;
  /** `tidBytes` for each did:plc, and the same as words, which are 0 where the rkey is unknown. */
  #rkeys: Buffer | null = null;
  #rkeyWords: Int32Array = noWords;

  /** For `didSetOf` only. */
  constructor(plcCount: number, buckets: number, words: Int32Array, others: ReadonlySet<string>) {
    this.size = plcCount + others.size;
    this.#plcCount = plcCount;
    this.#words = words;
    this.#filterAt = plcCount * plcIdWords;
    this.#bucketsAt = this.#filterAt + filterWordsOf(buckets);
    this.#mask = buckets - 1;
    this.#shift = hashBits - Math.log2(buckets);
    this.#filterShift = this.#shift - Math.log2(filterBits);
    this.#others = others;
  }

  /** The memory that the set takes, all rkeys included; 0 for the shared empty one. */
  get bytes(): number {
    if (this.size === 0) return 0;
    return setBytes + this.#words.byteLength + this.#plcCount * tidBytes + this.#others.size * otherBytes;
  }

  /** True when the set contains the list's DID with this index. */
  has(dids: DidList, index: number): boolean {
    if (this.size === 0) return false;
    return dids.isPlc(index) ? this.indexOf(dids, index) >= 0 : this.#others.has(dids.text(index));
  }

  /** Returns the index here of the list's did:plc with this index, or -1. */
  indexOf(dids: DidList, index: number): number {
    return this.size === 0 ? -1 : this.#find(dids.idWords, index * plcIdWords, dids.hashes[index]!);
  }

  /** True when the set contains the did:plc whose id is at `source[at..]`. */
  hasPlc(source: Buffer, at: number): boolean {
    if (this.size === 0) return false;
    for (let byte = 0; byte < plcIdBytes; byte++) soughtBytes[byte] = source[at + byte]!;
    return this.#find(soughtWords, 0, hashOfPlcId(soughtBytes, 0)) >= 0;
  }

  #find(idWords: Int32Array, at: number, hash: number): number {
    const words = this.#words;
    const bit = hash >>> this.#filterShift;
    if ((words[this.#filterAt + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return -1;
    const bucketsAt = this.#bucketsAt;
    const mask = this.#mask;
    const part = hash << indexBits;
    for (let bucket = hash >>> this.#shift; ; bucket = (bucket + 1) & mask) {
      const entry = words[bucketsAt + bucket]!;
      if (entry === 0) return -1;
      if (((entry ^ part) & ~indexMask) !== 0) continue;
      const found = (entry & indexMask) - 1;
      if (isSameId(words, found * plcIdWords, idWords, at)) return found;
    }
  }

  /**
   * Sets the bits of the classes of all DIDs, which are the top bits of class hashes, `shift` to
   * the right; all bits when not all are did:plc.
   */
  writeClasses(into: Int32Array, shift: number): void {
    into.fill(this.#others.size > 0 ? -1 : 0);
    const ids = Buffer.from(this.#words.buffer);
    for (let index = 0; index < this.#plcCount; index++) {
      const each = classHashOfPlcId(ids, index * plcIdSpan) >>> shift;
      into[each >>> 5]! |= 1 << (each & 31);
    }
  }

  /** Returns memory that has the packed rkey of an edge at `index * tidBytes`; null if unknown. */
  rkeyOf(index: number): Buffer | null {
    const words = this.#rkeyWords;
    return words.length > 0 && (words[index * rkeyWords]! | words[index * rkeyWords + 1]!) !== 0 ? this.#rkeys : null;
  }

  /** Caches the rkey that a row of an edge begins with, if it is of the common form. */
  setRkey(index: number, row: Buffer): void {
    if (row[0]! >= rkeyTag.self) return;
    if (this.#rkeys === null) {
      this.#rkeyWords = new Int32Array(this.#plcCount * rkeyWords);
      this.#rkeys = Buffer.from(this.#rkeyWords.buffer);
    }
    row.copy(this.#rkeys, index * tidBytes, 0, tidBytes);
  }
}

function isSameId(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return a[aAt] === b[bAt] && a[aAt + 1] === b[bAt + 1] && a[aAt + 2] === b[bAt + 2] && a[aAt + 3] === b[bAt + 3];
}

/** Returns the power of two that is the number of buckets for so many ids. */
function bucketsFor(count: number): number {
  return 2 ** Math.max(bucketBitsMin, Math.ceil(Math.log2(count * 2)));
}

/** Returns the words of a set; null when a probe sequence would get too long. */
function wordsOf(plcKeys: readonly Buffer[], at: number): Int32Array | null {
  const count = plcKeys.length;
  const buckets = bucketsFor(count);
  const shift = hashBits - Math.log2(buckets);
  const filterAt = count * plcIdWords;
  const bucketsAt = filterAt + filterWordsOf(buckets);
  const words = new Int32Array(bucketsAt + buckets);
  const ids = Buffer.from(words.buffer);
  for (let index = 0; index < count; index++) {
    plcKeys[index]!.copy(ids, index * plcIdSpan, at + 1, at + 1 + plcIdBytes);
    const hash = hashOfPlcId(ids, index * plcIdSpan);
    const bit = hash >>> (shift - Math.log2(filterBits));
    words[filterAt + (bit >>> 5)]! |= 1 << (bit & 31);
    let bucket = hash >>> shift;
    for (let steps = 0; words[bucketsAt + bucket] !== 0; steps++) {
      if (steps === stepsMax) return null;
      bucket = (bucket + 1) & (buckets - 1);
    }
    words[bucketsAt + bucket] = (hash << indexBits) | (index + 1);
  }
  return words;
}

/** Shared, since most actors block nobody. */
const noDids = new DidSet(0, bucketsFor(0), new Int32Array(0), noTexts);

/**
 * Returns the set of the DIDs that `writeDid` wrote at offset `at` of each key.
 *
 * Shape: all different, at most 60,000. Returns: null when the set would be slow or large, because
 * many ids collide or many DIDs are not did:plc; only abusive repos get there.
 */
export function didSetOf(keys: readonly Buffer[], at: number): DidSet | null {
  if (keys.length === 0) return noDids;
  const plcKeys = keys.filter((key) => key[at] === didTag.plc);
  const otherCount = keys.length - plcKeys.length;
  if (otherCount > othersMax) return null;
  const others =
    otherCount === 0
      ? noTexts
      : new Set(keys.filter((key) => key[at] !== didTag.plc).map((key) => readDid(new ByteReader(key, at))));
  const words = wordsOf(plcKeys, at);
  return words === null ? null : new DidSet(plcKeys.length, bucketsFor(plcKeys.length), words, others);
}
