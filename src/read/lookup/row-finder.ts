/**
 * Finds the rows of records (the record itself, its counts) from AT-URIs that are still bytes of a
 * request.
 *
 * Owns: the fast path for `at://did:plc:…/<collection>/<TID or self>`, which makes no string. A URI
 * that is no record's AT-URI has no row.
 */

import { type Collection, collectionCode, indexedCollections } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, rkeyTag, writeCollection, writeRkey } from '../../atproto/compact-key.ts';
import { plcDidLength, plcHead } from '../../atproto/did-plc.ts';
import { packTid, tidLength } from '../../atproto/tid.ts';
import { beginKey, keyHead, keyHeadBytes, type SlotState } from '../../slot/table/slot-state.ts';
import { OwnerFinder } from './owner-finder.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

const slash = 47;
const didStart = 5;
const nsidStart = didStart + plcDidLength + 1;
/** Where the rkey stands in a key: behind the collection's code. */
const rkeyAtOfKey = keyHeadBytes + 1;
const uriHead = Buffer.from('at://did:plc:', 'latin1');
const selfText = Buffer.from('self', 'latin1');

/** A collection as bytes and as code. */
export type KnownCollection = { readonly nsid: string; readonly text: Buffer; readonly code: number };

/** Returns what the fast path needs of an indexed collection. */
export function knownCollection(nsid: Collection): KnownCollection {
  return { nsid, text: Buffer.from(nsid, 'latin1'), code: collectionCode(nsid)! };
}

/**
 * `hasBytesAt` of its own for request bytes: shared with readers of stored rows, whose buffers have
 * another shape, it costs half as much again a URI.
 */
function hasBytesAt(source: Buffer, start: number, bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index++) if (source[start + index] !== bytes[index]) return false;
  return true;
}

const knownCollections: readonly KnownCollection[] = indexedCollections.map(knownCollection);

/**
 * Whether the name of a collection, and a slash, stand behind where a did:plc ends in the URI at
 * `source[start..end)`.
 */
function isOf({ text }: KnownCollection, source: Buffer, start: number, end: number): boolean {
  const nsidAt = start + nsidStart;
  return end > nsidAt + text.length && source[nsidAt + text.length] === slash && hasBytesAt(source, nsidAt, text);
}

/** Makes keys of rows; `owner` and `state` tell of the last one. */
export class RowFinder {
  readonly #lookup: SlotLookup;
  readonly owners: OwnerFinder;
  readonly #tidKey = Buffer.alloc(rkeyAtOfKey + 8);
  readonly #selfKey = Buffer.alloc(rkeyAtOfKey + 1, rkeyTag.self);
  #state: SlotState | undefined;
  #lastCollection = knownCollections[0]!;
  owner = 0;
  /** Whether the URI that the last `anyKeyOf` was asked for is the AT-URI of a record. */
  isUri = true;

  constructor(lookup: SlotLookup) {
    this.#lookup = lookup;
    this.owners = new OwnerFinder(lookup);
  }

  /** State of the slot that holds the last key that was found. */
  get state(): SlotState {
    return this.#state!;
  }

  /**
   * Returns the key in `table` of the record that `source[start..end)` names, or undefined when
   * there cannot be one.
   *
   * `wanted` is the collection that it must be of; with `isAnyCollection` it is only the one most
   * asked for. The key is overwritten by the next call. Errors: DataPlaneError `WrongEpoch`.
   */
  keyOf(
    source: Buffer,
    start: number,
    end: number,
    table: number,
    wanted: KnownCollection,
    isAnyCollection: boolean,
  ): Buffer | undefined {
    if (!isOf(wanted, source, start, end)) return this.#keyOfText(source, start, end, table, wanted, isAnyCollection);
    return this.#keyOfPlain(source, start, end, table, wanted, isAnyCollection);
  }

  /** Like `keyOf` for a URI that is known to be of the collection `wanted`. */
  #keyOfPlain(
    source: Buffer,
    start: number,
    end: number,
    table: number,
    wanted: KnownCollection,
    isAnyCollection: boolean,
  ): Buffer | undefined {
    const rkeyAt = start + nsidStart + wanted.text.length + 1;
    if (end <= rkeyAt || source[start + nsidStart - 1] !== slash || !hasBytesAt(source, start, uriHead))
      return this.#keyOfText(source, start, end, table, wanted, isAnyCollection);
    let key: Buffer;
    if (end - rkeyAt === tidLength && packTid(source, rkeyAt, this.#tidKey, rkeyAtOfKey)) {
      key = this.#tidKey;
    } else if (end - rkeyAt === selfText.length && hasBytesAt(source, rkeyAt, selfText)) {
      key = this.#selfKey;
    } else {
      return this.#keyOfText(source, start, end, table, wanted, isAnyCollection);
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
    key[keyHeadBytes] = wanted.code;
    return key;
  }

  /**
   * Like `keyOf` for a record of any collection: undefined too for a URI that is not the AT-URI of
   * a record, which `isUri` then tells.
   *
   * Fast for collections that are indexed, fastest for the one of the call before.
   */
  anyKeyOf(source: Buffer, start: number, end: number, table: number): Buffer | undefined {
    this.isUri = true;
    if (!isOf(this.#lastCollection, source, start, end)) {
      const other = knownCollections.find((known) => isOf(known, source, start, end));
      if (other === undefined) return this.#keyOfText(source, start, end, table, this.#lastCollection, true);
      this.#lastCollection = other;
    }
    return this.#keyOfPlain(source, start, end, table, this.#lastCollection, true);
  }

  /**
   * Returns whether its slot knows the DID at `source[start..end)`; `owner` and `state` then tell
   * of it.
   */
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

  #keyOfText(
    source: Buffer,
    start: number,
    end: number,
    table: number,
    wanted: KnownCollection,
    isAnyCollection: boolean,
  ): Buffer | undefined {
    const ref = parseRecordUri(source.utf8Slice(start, end));
    this.isUri = ref !== undefined;
    if (ref === undefined || (!isAnyCollection && ref.collection !== wanted.nsid)) return undefined;
    return this.keyOfRef(ref, table);
  }

  /** Returns the key of a record that is named by its parts. */
  keyOfRef(ref: RecordRef, table: number): Buffer | undefined {
    if (!this.#findOwnerOfText(ref.did)) return undefined;
    const key = beginKey(this.owner, table);
    writeCollection(key, ref.collection);
    writeRkey(key, ref.rkey);
    return key.finish();
  }
}
