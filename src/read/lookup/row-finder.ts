/**
 * Finds the rows of records and of their counts by AT-URIs that are still bytes of a request.
 *
 * Owns: the fast path for `at://did:plc:…/<collection>/<TID or self>`, which makes no string.
 */

import { type Collection, collectionCode, indexedCollections } from '../../atproto/collection.ts';
import {
  parseRecordUri,
  plcFollows,
  type RecordRef,
  rkeyTag,
  writeCollection,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { plcDidLength, plcHead, plcIdBytes } from '../../atproto/did-plc.ts';
import { packTid, tidBytes, tidLength } from '../../atproto/tid.ts';
import { parseBase32 } from '../../base/base32.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { beginKey, keyHead, keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { OwnerFinder, touchedDidsMax } from './owner-finder.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

const slash = 47;
const letterD = 0x64;
const didStart = 5;
const nsidStart = didStart + plcDidLength + 1;
/** The rkey follows the collection's code in a key. */
const rkeyAtOfKey = keyHeadBytes + 1;
/** The length of the key of a record whose rkey is a TID. */
export const tidKeyBytes = rkeyAtOfKey + tidBytes;
const uriHead = Buffer.from('at://did:plc:', 'latin1');
const selfText = Buffer.from('self', 'latin1');

export type KnownCollection = { readonly nsid: string; readonly text: Buffer; readonly code: number };

/** Prepares an indexed collection for the fast path. */
export function knownCollection(nsid: Collection): KnownCollection {
  return { nsid, text: Buffer.from(nsid, 'latin1'), code: collectionCode(nsid)! };
}

/** Not shared with readers of stored rows, whose buffers of another shape would slow it by half. */
function hasBytesAt(source: Buffer, start: number, bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index++) if (source[start + index] !== bytes[index]) return false;
  return true;
}

const knownCollections: readonly KnownCollection[] = indexedCollections.map(knownCollection);
let lastCollection = knownCollections[0]!;

/** True when the URI at `source[start..end)`, if its DID is a did:plc, is of a collection. */
function isOf({ text }: KnownCollection, source: Buffer, start: number, end: number): boolean {
  const nsidAt = start + nsidStart;
  return end > nsidAt + text.length && source[nsidAt + text.length] === slash && hasBytesAt(source, nsidAt, text);
}

/** Returns the indexed collection of a URI, as `isOf`. Fastest for the one of the last call. */
function collectionOf(source: Buffer, start: number, end: number): KnownCollection | undefined {
  if (isOf(lastCollection, source, start, end)) return lastCollection;
  const found = knownCollections.find((known) => isOf(known, source, start, end));
  if (found !== undefined) lastCollection = found;
  return found;
}

const plainRef = Buffer.alloc(1 + plcIdBytes + tidBytes);
const refWriter = new ByteWriter(256);

/**
 * Returns the record that `source[start..end)` names as `writeRecordRef` writes it; undefined for
 * what is not the AT-URI of a record. The next call overwrites it.
 */
export function refOf(source: Buffer, start: number, end: number): Buffer | undefined {
  const collection = collectionOf(source, start, end);
  if (collection !== undefined) {
    const rkeyAt = start + nsidStart + collection.text.length + 1;
    const isPlain =
      end - rkeyAt === tidLength &&
      source[start + nsidStart - 1] === slash &&
      hasBytesAt(source, start, uriHead) &&
      parseBase32(source, start + uriHead.length, start + nsidStart - 1, plainRef, 1) &&
      packTid(source, rkeyAt, plainRef, 1 + plcIdBytes);
    plainRef[0] = plcFollows | collection.code;
    if (isPlain) return plainRef;
  }
  const ref = parseRecordUri(source.utf8Slice(start, end));
  if (ref === undefined) return undefined;
  writeRecordRef(refWriter.clear(), ref);
  return refWriter.view();
}

/** Makes keys of rows; `owner` and `state` are those of the last one. */
export class RowFinder {
  readonly #lookup: SlotLookup;
  readonly owners: OwnerFinder;
  readonly #tidKey = Buffer.alloc(tidKeyBytes);
  readonly #didStarts = new Int32Array(touchedDidsMax);
  readonly #selfKey = Buffer.alloc(rkeyAtOfKey + 1, rkeyTag.self);
  #state: SlotState | undefined;
  owner = 0;
  /** True unless the last `anyKeyOf` was given something other than the AT-URI of a record. */
  isUri = true;

  constructor(lookup: SlotLookup) {
    this.#lookup = lookup;
    this.owners = new OwnerFinder(lookup);
  }

  /** The slot of the last key that was found. */
  get state(): SlotState {
    return this.#state!;
  }

  /**
   * Returns the key in `table` of the record that `source[start..end)` names; undefined unless that
   * is a record of `collection` by a known owner.
   *
   * Shape: the next call overwrites the key. Errors: DataPlaneError `WrongEpoch`.
   */
  keyOf(source: Buffer, start: number, end: number, table: number, collection: KnownCollection): Buffer | undefined {
    if (isOf(collection, source, start, end)) {
      const key = this.#plainKeyOf(source, start, end, table, collection);
      if (key !== null) return key;
    }
    const ref = parseRecordUri(source.utf8Slice(start, end));
    return ref?.collection === collection.nsid ? this.#keyOfRef(ref, table) : undefined;
  }

  /** The fast path of `keyOf`, once `isOf` has been checked; null for a URI of another form. */
  #plainKeyOf(
    source: Buffer,
    start: number,
    end: number,
    table: number,
    collection: KnownCollection,
  ): Buffer | undefined | null {
    const rkeyAt = start + nsidStart + collection.text.length + 1;
    if (end <= rkeyAt || source[start + nsidStart - 1] !== slash || !hasBytesAt(source, start, uriHead)) return null;
    let key: Buffer;
    if (end - rkeyAt === tidLength && packTid(source, rkeyAt, this.#tidKey, rkeyAtOfKey)) {
      key = this.#tidKey;
    } else if (end - rkeyAt === selfText.length && hasBytesAt(source, rkeyAt, selfText)) {
      key = this.#selfKey;
    } else {
      return null;
    }
    const isKnown = this.owners.find(source, start + didStart);
    this.#state = this.owners.state;
    if (!isKnown) return undefined;
    const { owner } = this.owners;
    this.owner = owner;
    const head = keyHead(owner, table);
    key[0] = head >>> 24;
    key[1] = head >>> 16;
    key[2] = head >>> 8;
    key[3] = head;
    key[keyHeadBytes] = collection.code;
    return key;
  }

  /**
   * Like `keyOf` for a record of any collection. Also sets `isUri`.
   *
   * Fast for indexed collections, fastest for the one of the previous call.
   */
  anyKeyOf(source: Buffer, start: number, end: number, table: number): Buffer | undefined {
    this.isUri = true;
    const collection = collectionOf(source, start, end);
    if (collection !== undefined) {
      const key = this.#plainKeyOf(source, start, end, table, collection);
      if (key !== null) return key;
    }
    const ref = parseRecordUri(source.utf8Slice(start, end));
    this.isUri = ref !== undefined;
    return ref === undefined ? undefined : this.#keyOfRef(ref, table);
  }

  /** Reads where the owners of these URIs and DIDs will be looked for; see `OwnerFinder.touch`. */
  touchOwners(source: Buffer, starts: Int32Array, ends: Int32Array, count: number): void {
    let plcCount = 0;
    for (let index = 0; index < count; index++) {
      // Of the two only a DID begins with this letter.
      const start = starts[index]! + (source[starts[index]!] === letterD ? 0 : didStart);
      if (ends[index]! - start >= plcDidLength) this.#didStarts[plcCount++] = start;
    }
    this.owners.touch(source, this.#didStarts, plcCount);
  }

  /** Returns whether its slot knows the DID at `source[start..end)`; if so, sets `owner`. */
  findOwner(source: Buffer, start: number, end: number): boolean {
    if (end - start !== plcDidLength || !hasBytesAt(source, start, plcHead)) {
      return this.#findOwnerOfText(source.utf8Slice(start, end));
    }
    const isKnown = this.owners.find(source, start);
    this.#state = this.owners.state;
    this.owner = this.owners.owner;
    return isKnown;
  }

  #findOwnerOfText(did: string): boolean {
    this.#state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(this.#state, did);
    if (owner === undefined) return false;
    this.owner = owner;
    return true;
  }

  #keyOfRef(ref: RecordRef, table: number): Buffer | undefined {
    if (!this.#findOwnerOfText(ref.did)) return undefined;
    const key = beginKey(this.owner, table);
    writeCollection(key, ref.collection);
    writeRkey(key, ref.rkey);
    return key.finish();
  }
}
