/**
 * A fixed set of DIDs, in the compact form of keys: says exactly who is in it without a look at the store.
 *
 * Owns: about twenty bytes a did:plc: its id, and a place in a table of buckets. Other DIDs are few and kept as texts.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import { ByteReader } from '../../base/bytes.ts';
import { type DidList, hashOfPlcId } from '../lookup/did-list.ts';

const plcTag = 1;
const hashBits = 32;
/** Ids stand no further than this behind the bucket of their hash. Units: buckets. */
const stepsMax = 256;
const othersMax = 256;

function isSameId(a: Buffer, aAt: number, b: Buffer, bAt: number): boolean {
  for (let index = 0; index < plcIdBytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

/** DIDs that an actor points at. */
export class DidSet {
  readonly size: number;
  readonly #ids: Buffer;
  /** Open addressing: place of the id + 1, 0 where none stands. At most half are taken. */
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

  /** True when the DID with this index of a list is in the set. */
  has(dids: DidList, index: number): boolean {
    if (dids.isPlc[index] === 0) return this.#others.has(dids.text(index));
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    for (let bucket = dids.hashes[index]! >>> this.#shift; ; bucket = (bucket + 1) & mask) {
      const place = buckets[bucket]!;
      if (place === 0) return false;
      if (isSameId(this.#ids, (place - 1) * plcIdBytes, dids.ids, index * plcIdBytes)) return true;
    }
  }
}

/** Gives each id a bucket; null when one would stand too far from its own. */
function bucketsOf(ids: Buffer): Uint16Array | null {
  const count = ids.length / plcIdBytes;
  const bits = Math.max(1, Math.ceil(Math.log2(count * 2)));
  const buckets = new Uint16Array(2 ** bits);
  for (let place = 0; place < count; place++) {
    let bucket = hashOfPlcId(ids, place * plcIdBytes) >>> (hashBits - bits);
    for (let steps = 0; buckets[bucket] !== 0; steps++) {
      if (steps === stepsMax) return null;
      bucket = (bucket + 1) & (buckets.length - 1);
    }
    buckets[bucket] = place + 1;
  }
  return buckets;
}

/** The set of nobody, which most actors block. */
const noDids = new DidSet(Buffer.alloc(0), new Uint16Array(2), new Set());

/**
 * Returns the set of the DIDs that stand in keys at `at`, as `writeDid` writes them.
 *
 * Shape: no two the same, and at most 60,000. Returns: null where a set would be slow or large, which no actor comes to who means well: ids
 * that begin alike crowd in few buckets, and other DIDs than did:plc take a text each.
 */
export function didSetOf(keys: readonly Buffer[], at: number): DidSet | null {
  if (keys.length === 0) return noDids;
  const others = new Set<string>();
  const plcKeys = keys.filter((key) => key[at] === plcTag);
  if (keys.length - plcKeys.length > othersMax) return null;
  for (const key of keys) if (key[at] !== plcTag) others.add(readDid(new ByteReader(key, at)));
  const ids = Buffer.allocUnsafeSlow(plcKeys.length * plcIdBytes);
  for (const [place, key] of plcKeys.entries()) key.copy(ids, place * plcIdBytes, at + 1, at + 1 + plcIdBytes);
  const buckets = bucketsOf(ids);
  return buckets === null ? null : new DidSet(ids, buckets, others);
}
