/**
 * A fixed table from DIDs to what is remembered of them, found by the bytes of a `did:plc` without making strings.
 *
 * Owns: places, which are given out once and never moved, so that others can keep arrays beside the table; what a commit changed is
 * forgotten by owner. Refuses: more DIDs than its size.
 */
import { plcDidLength, plcHead } from '../../atproto/did-plc.ts';
import { hasBytesAt } from '../../base/bytes.ts';

const plcIdWords = 6;

function isPlc(source: Buffer, start: number, end: number): boolean {
  return end - start === plcDidLength && hasBytesAt(source, start, plcHead);
}

function ownerKey(slot: number, owner: number): number {
  return slot * 2 ** 32 + owner;
}

/** One DID and where its owner stands. */
export type PlacedDid = { readonly did: string; readonly slot: number; readonly owner: number };

/** DIDs up to a number that is set once. */
export class PlaceTable<Value> {
  readonly #max: number;
  readonly #mask: number;
  /** Open addressing: place + 1, 0 where nobody stands. */
  readonly #buckets: Int32Array;
  /** The letters behind `did:plc:` of each place, four to a word. */
  readonly #ids: Int32Array;
  /** Those of the DID that is looked for. */
  readonly #sought = new Int32Array(plcIdWords);
  readonly #placeByOtherDid = new Map<string, number>();
  readonly #placeByOwner = new Map<number, number>();
  readonly #values: (Value | undefined)[] = [];
  size = 0;

  constructor(max: number) {
    this.#max = max;
    const buckets = 2 ** Math.ceil(Math.log2(max * 2));
    this.#mask = buckets - 1;
    this.#buckets = new Int32Array(buckets);
    this.#ids = new Int32Array(max * plcIdWords);
  }

  get isFull(): boolean {
    return this.size >= this.#max;
  }

  /** Takes the letters of the DID at `source[start..]`; returns the bucket where its search begins. */
  #seek(source: Buffer, start: number): number {
    const sought = this.#sought;
    let hash = 0x811c9dc5;
    for (let index = 0, at = start + plcHead.length; index < plcIdWords; index++, at += 4) {
      const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
      sought[index] = word;
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & this.#mask;
  }

  #isSought(place: number): boolean {
    const own = place * plcIdWords;
    for (let index = 0; index < plcIdWords; index++) if (this.#ids[own + index] !== this.#sought[index]) return false;
    return true;
  }

  /** Returns the place of the DID at `source[start..end)`, or -1. */
  placeOf(source: Buffer, start: number, end: number): number {
    if (!isPlc(source, start, end)) return this.#placeByOtherDid.get(source.latin1Slice(start, end)) ?? -1;
    for (let bucket = this.#seek(source, start); ; bucket = (bucket + 1) & this.#mask) {
      const place = this.#buckets[bucket]! - 1;
      if (place < 0 || this.#isSought(place)) return place;
    }
  }

  /** Returns what is remembered at a place, or undefined when it was forgotten. */
  valueAt(place: number): Value | undefined {
    return this.#values[place];
  }

  /** Sets what is remembered of a DID, at its place or at a new one. Shape: the table is not full. */
  set({ did, slot, owner }: PlacedDid, value: Value): number {
    const source = Buffer.from(did, 'latin1');
    let place = this.placeOf(source, 0, source.length);
    if (place < 0) place = this.#newPlace(source, did);
    this.#values[place] = value;
    this.#placeByOwner.set(ownerKey(slot, owner), place);
    return place;
  }

  #newPlace(source: Buffer, did: string): number {
    const place = this.size++;
    if (!isPlc(source, 0, source.length)) {
      this.#placeByOtherDid.set(did, place);
      return place;
    }
    let bucket = this.#seek(source, 0);
    this.#ids.set(this.#sought, place * plcIdWords);
    while (this.#buckets[bucket] !== 0) bucket = (bucket + 1) & this.#mask;
    this.#buckets[bucket] = place + 1;
    return place;
  }

  /** Forgets what is remembered of an owner; its place stays and is returned, -1 when there is none. */
  forget(slot: number, owner: number): number {
    const place = this.#placeByOwner.get(ownerKey(slot, owner)) ?? -1;
    if (place >= 0) this.#values[place] = undefined;
    return place;
  }

  /** Empties the table. */
  clear(): void {
    this.#buckets.fill(0);
    this.#placeByOtherDid.clear();
    this.#placeByOwner.clear();
    this.#values.length = 0;
    this.size = 0;
  }
}
