/**
 * A fixed set of DIDs, in the compact form of keys. Its answers are exact.
 *
 * A did:plc takes about twenty bytes: its id, and buckets of a hash table with open addressing. Other
 * DIDs are few and kept as texts.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import { ByteReader } from '../../base/bytes.ts';
import { type DidList, hashOfPlcId } from '../lookup/did-list.ts';

const plcTag = 1;
const hashBits = 32;
/** Maximum probe length. Units: buckets. */
const stepsMax = 256;
const othersMax = 256;
/** The objects of a set, without what grows with its size. */
const setBytes = 640;
const otherBytes = 384;
const noTexts: ReadonlySet<string> = new Set();

function isSameId(a: Buffer, aAt: number, b: Buffer, bAt: number): boolean {
  for (let index = 0; index < plcIdBytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

/** DIDs that an actor points at. */
export class DidSet {
  readonly size: number;
  readonly #ids: Buffer;
  /** Index of an id + 1 in each bucket, 0 in an empty one. At most half of them are taken. */
  readonly #buckets: Uint16Array;
  readonly #shift: number;
  readonly #others: ReadonlySet<string>;

  /** Made by `didSetOf`. */
  constructor(ids: Buffer, buckets: Uint16Array, others: ReadonlySet<string>) {
    this.size = ids.length / plcIdBytes + others.size;
    this.#ids = ids;
    this.#buckets = buckets;
    this.#shift = hashBits - Math.log2(buckets.length);
    this.#others = others;
  }

  /** What the set takes; nothing for the shared empty one. */
  get bytes(): number {
    if (this.size === 0) return 0;
    return setBytes + this.#ids.length + this.#buckets.byteLength + this.#others.size * otherBytes;
  }

  /** True when the DID with this index of a list is in the set. */
  has(dids: DidList, index: number): boolean {
    if (dids.isPlc[index] === 0) return this.#others.has(dids.text(index));
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    for (let bucket = dids.hashes[index]! >>> this.#shift; ; bucket = (bucket + 1) & mask) {
      const entry = buckets[bucket]!;
      if (entry === 0) return false;
      if (isSameId(this.#ids, (entry - 1) * plcIdBytes, dids.ids, index * plcIdBytes)) return true;
    }
  }
}

/** Puts each id in a bucket; null when one would be too far from its own. */
function bucketsOf(ids: Buffer): Uint16Array | null {
  const count = ids.length / plcIdBytes;
  const bits = Math.max(1, Math.ceil(Math.log2(count * 2)));
  const buckets = new Uint16Array(2 ** bits);
  for (let index = 0; index < count; index++) {
    let bucket = hashOfPlcId(ids, index * plcIdBytes) >>> (hashBits - bits);
    for (let steps = 0; buckets[bucket] !== 0; steps++) {
      if (steps === stepsMax) return null;
      bucket = (bucket + 1) & (buckets.length - 1);
    }
    buckets[bucket] = index + 1;
  }
  return buckets;
}

/** Shared empty set: most actors block nobody. */
const noDids = new DidSet(Buffer.alloc(0), new Uint16Array(2), noTexts);

/**
 * Returns the set of the DIDs at `at` in keys, as `writeDid` writes them.
 *
 * Shape: no two the same, and at most 60,000. Returns: null where a set would be slow or large: ids that
 * begin alike crowd in few buckets, and other DIDs than did:plc take a text each (only abusive repos
 * reach this).
 */
export function didSetOf(keys: readonly Buffer[], at: number): DidSet | null {
  if (keys.length === 0) return noDids;
  const plcKeys = keys.filter((key) => key[at] === plcTag);
  const otherCount = keys.length - plcKeys.length;
  if (otherCount > othersMax) return null;
  const others =
    otherCount === 0
      ? noTexts
      : new Set(keys.filter((key) => key[at] !== plcTag).map((key) => readDid(new ByteReader(key, at))));
  const ids = Buffer.allocUnsafeSlow(plcKeys.length * plcIdBytes);
  for (const [index, key] of plcKeys.entries()) key.copy(ids, index * plcIdBytes, at + 1, at + 1 + plcIdBytes);
  const buckets = bucketsOf(ids);
  return buckets === null ? null : new DidSet(ids, buckets, others);
}
