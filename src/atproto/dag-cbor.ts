/**
 * Strict, bounded DAG-CBOR for untrusted bytes.
 *
 * Owns: the limits, the canonical form (minimal heads, sorted keys, no indefinite lengths, only tag
 * 42, only 64-bit floats) and the reasons for refusal. Depth is checked before each recursion, so
 * no input can exhaust the stack.
 */
import { isUtf8 } from 'node:buffer';
import { Cid, cidBytes, isCidAt } from './cid.ts';
import { ByteString, type DagMap, type DagValue } from './dag-value.ts';
import type { Decoded } from './decoded.ts';
import { inputLimits } from './input-limits.ts';

export type DagCborReason =
  | 'truncated'
  | 'trailing-bytes'
  | 'too-deep'
  | 'too-many-items'
  | 'too-large'
  | 'head-reserved'
  | 'length-indefinite'
  | 'integer-not-minimal'
  | 'integer-too-large'
  | 'float-not-64-bit'
  | 'float-not-finite'
  | 'simple-value-unknown'
  | 'tag-unknown'
  | 'cid-bad'
  | 'key-not-text'
  | 'key-forbidden'
  | 'keys-not-sorted'
  | 'key-duplicate'
  | 'text-not-utf8';

/** Order of map keys: `canonical` requires sorted keys; `any` only forbids duplicates. */
export type KeyOrder = 'canonical' | 'any';

/** Carries a reason out of the recursion. It never leaves this file. */
class DagCborFault {
  readonly reason: DagCborReason;

  constructor(reason: DagCborReason) {
    this.reason = reason;
  }
}

function refuse(reason: DagCborReason): never {
  throw new DagCborFault(reason);
}

/** Turns a decoder's fault into a reason. Any other exception is our bug and passes through. */
function guard<Value>(decode: () => Value): Decoded<Value, DagCborReason> {
  try {
    return { ok: true, value: decode() };
  } catch (thrown) {
    if (thrown instanceof DagCborFault) return { ok: false, reason: thrown.reason };
    throw thrown;
  }
}

const keyCacheSlots = 2048;
/** Longer keys bypass the cache. */
const keyCacheBytes = 32;
const keyCache: (string | undefined)[] = new Array(keyCacheSlots).fill(undefined);

/** Reads consecutive values. Byte strings and CIDs alias the source. */
export class DagCborReader {
  readonly #source: Buffer;
  readonly #end: number;
  readonly #keyOrder: KeyOrder;
  readonly #itemsMax: number;
  #position: number;
  #items = 0;

  /** Reads values of at most `itemsMax` values and keys in all. */
  constructor(
    source: Uint8Array,
    position = 0,
    end = source.length,
    keyOrder: KeyOrder = 'canonical',
    itemsMax: number = inputLimits.cborItemsMax,
  ) {
    this.#source = Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.length);
    this.#position = position;
    this.#end = end;
    this.#keyOrder = keyOrder;
    this.#itemsMax = itemsMax;
  }

  get position(): number {
    return this.#position;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#end;
  }

  next(): Decoded<DagValue, DagCborReason> {
    return guard(() => this.#value(0));
  }

  /**
   * Reads the next value, a map, into `target`.
   *
   * Returns: undefined, or the reason of the fault; `target` has the entries before it even then. A
   * value that is not a map is `key-not-text`.
   */
  nextMapInto(target: DagMap): DagCborReason | undefined {
    const read = guard(() => {
      const head = this.#head();
      if (head >>> 5 !== 5) refuse('key-not-text');
      this.#map(target, this.#count(head & 31, 2), 1);
    });
    return read.ok ? undefined : read.reason;
  }

  #head(): number {
    if (this.#position >= this.#end) refuse('truncated');
    return this.#source[this.#position++]!;
  }

  /** Skips `bytes` and returns where they started. */
  #take(bytes: number): number {
    const start = this.#position;
    if (bytes > this.#end - start) refuse('truncated');
    this.#position = start + bytes;
    return start;
  }

  /** Reads the argument of a head. Returns: at most 2^53 - 1, from its shortest encoding. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) {
      const value = this.#source[this.#take(1)]!;
      return value < 24 ? refuse('integer-not-minimal') : value;
    }
    if (info === 25) {
      const value = this.#source.readUInt16BE(this.#take(2));
      return value < 0x100 ? refuse('integer-not-minimal') : value;
    }
    if (info === 26) {
      const value = this.#source.readUInt32BE(this.#take(4));
      return value < 0x10000 ? refuse('integer-not-minimal') : value;
    }
    if (info === 27) {
      const start = this.#take(8);
      const high = this.#source.readUInt32BE(start);
      if (high === 0) refuse('integer-not-minimal');
      if (high >= 0x200000) refuse('integer-too-large');
      return high * 2 ** 32 + this.#source.readUInt32BE(start + 4);
    }
    return refuse(info === 31 ? 'length-indefinite' : 'head-reserved');
  }

  /** Reads a count of items of at least `bytesEach`, so that a false count costs nothing. */
  #count(info: number, bytesEach: number): number {
    const count = this.#argument(info);
    if (count * bytesEach > this.#end - this.#position) refuse('truncated');
    this.#items += count * bytesEach;
    if (this.#items > this.#itemsMax) refuse('too-many-items');
    return count;
  }

  #value(depth: number): DagValue {
    const head = this.#head();
    const info = head & 31;
    switch (head >>> 5) {
      case 0:
        return this.#argument(info);
      case 1: {
        const value = -1 - this.#argument(info);
        return value < Number.MIN_SAFE_INTEGER ? refuse('integer-too-large') : value;
      }
      case 2: {
        const length = this.#argument(info);
        const start = this.#take(length);
        return new ByteString(this.#source.subarray(start, start + length));
      }
      case 3:
        return this.#text(this.#argument(info));
      case 4:
        if (depth >= inputLimits.cborDepthMax) refuse('too-deep');
        return this.#array(this.#count(info, 1), depth + 1);
      case 5:
        if (depth >= inputLimits.cborDepthMax) refuse('too-deep');
        return this.#map({}, this.#count(info, 2), depth + 1);
      case 6:
        return this.#cid(info);
      default:
        return this.#simple(info);
    }
  }

  #array(count: number, depth: number): DagValue[] {
    const items: DagValue[] = [];
    for (let index = 0; index < count; index++) items.push(this.#value(depth));
    return items;
  }

  #map(target: DagMap, count: number, depth: number): DagMap {
    let previousStart = 0;
    let previousLength = -1;
    let isSorted = true;
    for (let index = 0; index < count; index++) {
      const head = this.#head();
      if (head >>> 5 !== 3) refuse('key-not-text');
      const length = this.#argument(head & 31);
      const start = this.#position;
      const key = this.#key(length);
      const comesLater =
        length > previousLength || (length === previousLength && this.#compare(previousStart, start, length) < 0);
      // Ascending keys cannot repeat; from the first unsorted one, each is looked up.
      if (!comesLater || !isSorted) {
        if (Object.hasOwn(target, key)) refuse('key-duplicate');
        if (this.#keyOrder === 'canonical') refuse('keys-not-sorted');
        isSorted = false;
      }
      previousStart = start;
      previousLength = length;
      target[key] = this.#value(depth);
    }
    return target;
  }

  #compare(left: number, right: number, length: number): number {
    for (let index = 0; index < length; index++) {
      const difference = this.#source[left + index]! - this.#source[right + index]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Reads a key through a small cache, since nearly all keys are from a set of a few hundred. */
  #key(length: number): string {
    if (length === 0 || length > keyCacheBytes) return this.#keyText(length);
    const start = this.#take(length);
    const source = this.#source;
    let hash = length;
    for (let index = start; index < start + length; index++) hash = (Math.imul(hash, 31) + source[index]!) | 0;
    const slot = (hash ^ (hash >>> 15)) & (keyCacheSlots - 1);
    const cached = keyCache[slot];
    if (cached !== undefined && cached.length === length) {
      let index = 0;
      while (index < length && cached.charCodeAt(index) === source[start + index]) index++;
      if (index === length) return cached;
    }
    this.#position = start;
    const key = this.#keyText(length);
    // Only ASCII keys are cached: the comparison above needs characters to equal bytes.
    if (key.length === length) keyCache[slot] = key;
    return key;
  }

  #keyText(length: number): string {
    const key = this.#text(length);
    // As a property name it would replace the prototype instead of adding a field.
    return key === '__proto__' ? refuse('key-forbidden') : key;
  }

  #text(length: number): string {
    const start = this.#take(length);
    const stop = start + length;
    const source = this.#source;
    if (length <= 64) {
      let index = start;
      while (index < stop && source[index]! < 0x80) index++;
      if (index === stop) return source.latin1Slice(start, stop);
    }
    const text = source.utf8Slice(start, stop);
    // Invalid UTF-8 becomes U+FFFD; only a text that contains one needs the full check.
    if (text.includes('\ufffd') && !isUtf8(source.subarray(start, stop))) refuse('text-not-utf8');
    return text;
  }

  #cid(info: number): Cid {
    if (this.#argument(info) !== 42) refuse('tag-unknown');
    const head = this.#head();
    if (head >>> 5 !== 2) refuse('cid-bad');
    const length = this.#argument(head & 31);
    const start = this.#take(length);
    // A zero byte, the multibase prefix of plain bytes, precedes the CID.
    if (length !== cidBytes + 1 || this.#source[start] !== 0 || !isCidAt(this.#source, start + 1)) refuse('cid-bad');
    return new Cid(this.#source, start + 1);
  }

  #simple(info: number): DagValue {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 25 || info === 26) return refuse('float-not-64-bit');
    if (info !== 27) return refuse(info === 31 ? 'length-indefinite' : 'simple-value-unknown');
    const value = this.#source.readDoubleBE(this.#take(8));
    return Number.isFinite(value) ? value : refuse('float-not-finite');
  }
}

/**
 * Decodes one block that must be a single value.
 *
 * Shape: byte strings and CIDs of the value alias `source`.
 */
export function decodeDagCbor(source: Uint8Array, keyOrder: KeyOrder = 'canonical'): Decoded<DagValue, DagCborReason> {
  if (source.length > inputLimits.cborBytesMax) return { ok: false, reason: 'too-large' };
  const reader = new DagCborReader(source, 0, source.length, keyOrder);
  const read = reader.next();
  return read.ok && !reader.isAtEnd ? { ok: false, reason: 'trailing-bytes' } : read;
}
