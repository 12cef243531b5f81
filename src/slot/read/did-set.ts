/**
 * A fixed set of DIDs, in the compact form of keys: says exactly who is in it without a look at the store.
 *
 * Owns: about twenty bytes a did:plc: its id, and a place in a table of buckets. Other DIDs are few and kept as texts.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import { type DidList, hashOfPlcId, plcIdBytes } from './did-list.ts';

const plcTag = 1;
const hashBits = 32;
/** Sets of more have no place in a table of 16-bit places. Units: DIDs. */
export const didSetMax = 60_000;

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
  readonly #others: ReadonlySet<string> | null;

  /** Shape: each key holds a DID at `at` as `writeDid` writes it, and no two the same; at most `didSetMax`. */
  constructor(keys: readonly Buffer[], at: number) {
    const others = new Set<string>();
    const ids = Buffer.allocUnsafeSlow(keys.length * plcIdBytes);
    let count = 0;
    for (const key of keys) {
      if (key[at] === plcTag) key.copy(ids, count++ * plcIdBytes, at + 1, at + 1 + plcIdBytes);
      else others.add(readDid(new ByteReader(key, at)));
    }
    const bits = Math.max(1, Math.ceil(Math.log2(count * 2)));
    this.size = keys.length;
    this.#ids = ids;
    this.#others = others.size === 0 ? null : others;
    this.#shift = hashBits - bits;
    this.#buckets = new Uint16Array(2 ** bits);
    const mask = this.#buckets.length - 1;
    for (let place = 0; place < count; place++) {
      let bucket = hashOfPlcId(ids, place * plcIdBytes) >>> this.#shift;
      while (this.#buckets[bucket] !== 0) bucket = (bucket + 1) & mask;
      this.#buckets[bucket] = place + 1;
    }
  }

  /** True when the DID with this index of a list is in the set. */
  has(dids: DidList, index: number): boolean {
    if (dids.isPlc[index] === 0) return this.#others?.has(dids.text(index)) === true;
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    for (let bucket = dids.hashes[index]! >>> this.#shift; ; bucket = (bucket + 1) & mask) {
      const place = buckets[bucket]!;
      if (place === 0) return false;
      if (isSameId(this.#ids, (place - 1) * plcIdBytes, dids.ids, index * plcIdBytes)) return true;
    }
  }
}

/** The set of nobody, which most actors block. */
export const noDids = new DidSet([], 0);
