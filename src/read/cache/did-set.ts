/**
 * An immutable set of DIDs, in the compact form of keys.
 *
 * A did:plc takes about 27 bytes: its id, and its share of a hash table with open addressing.
 * Other DIDs are few and kept as strings.
 */
import { didTag, readDid } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import { ByteReader } from '../../base/bytes.ts';
import { type DidList, hashOfPlcId } from '../lookup/did-list.ts';

const hashBits = 32;
/** A bucket holds the index of an id + 1, above that a part of its hash that tells most others. */
const indexBits = 16;
const indexMask = 2 ** indexBits - 1;
/** Maximum probe length. Units: buckets. */
const stepsMax = 256;
const othersMax = 256;
/** A set without its DIDs. */
const setBytes = 640;
const otherBytes = 384;
const noTexts: ReadonlySet<string> = new Set();

function isSameId(a: Buffer, aAt: number, b: Buffer, bAt: number): boolean {
  for (let index = 0; index < plcIdBytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

export class DidSet {
  readonly size: number;
  readonly #ids: Buffer;
  /** 0 in an empty bucket. At most half of them are used. */
  readonly #buckets: Int32Array;
  readonly #shift: number;
  readonly #others: ReadonlySet<string>;

  /** For `didSetOf` only. */
  constructor(ids: Buffer, buckets: Int32Array, others: ReadonlySet<string>) {
    this.size = ids.length / plcIdBytes + others.size;
    this.#ids = ids;
    this.#buckets = buckets;
    this.#shift = hashBits - Math.log2(buckets.length);
    this.#others = others;
  }

  /** The memory that the set takes; 0 for the shared empty one. */
  get bytes(): number {
    if (this.size === 0) return 0;
    return setBytes + this.#ids.length + this.#buckets.byteLength + this.#others.size * otherBytes;
  }

  /** True when the set contains the list's DID with this index. */
  has(dids: DidList, index: number): boolean {
    if (this.size === 0) return false;
    if (!dids.isPlc(index)) return this.#others.has(dids.text(index));
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    const hash = dids.hashes[index]!;
    const part = hash << indexBits;
    for (let bucket = hash >>> this.#shift; ; bucket = (bucket + 1) & mask) {
      const entry = buckets[bucket]!;
      if (entry === 0) return false;
      if (((entry ^ part) & ~indexMask) !== 0) continue;
      if (isSameId(this.#ids, ((entry & indexMask) - 1) * plcIdBytes, dids.ids, index * plcIdBytes)) return true;
    }
  }
}

/** Returns a hash table of the ids; null when a probe sequence would get too long. */
function bucketsOf(ids: Buffer): Int32Array | null {
  const count = ids.length / plcIdBytes;
  const bits = Math.max(1, Math.ceil(Math.log2(count * 2)));
  const buckets = new Int32Array(2 ** bits);
  for (let index = 0; index < count; index++) {
    const hash = hashOfPlcId(ids, index * plcIdBytes);
    let bucket = hash >>> (hashBits - bits);
    for (let steps = 0; buckets[bucket] !== 0; steps++) {
      if (steps === stepsMax) return null;
      bucket = (bucket + 1) & (buckets.length - 1);
    }
    buckets[bucket] = (hash << indexBits) | (index + 1);
  }
  return buckets;
}

/** Shared, since most actors block nobody. */
const noDids = new DidSet(Buffer.alloc(0), new Int32Array(2), noTexts);

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
  const ids = Buffer.allocUnsafeSlow(plcKeys.length * plcIdBytes);
  for (const [index, key] of plcKeys.entries()) key.copy(ids, index * plcIdBytes, at + 1, at + 1 + plcIdBytes);
  const buckets = bucketsOf(ids);
  return buckets === null ? null : new DidSet(ids, buckets, others);
}
