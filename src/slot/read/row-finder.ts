/**
 * Finds the rows of records (the record itself, its counts) from AT-URIs that are still bytes of a request.
 *
 * Owns: the fast path for `at://did:plc:…/<collection>/<TID or self>`, which makes one string (the DID, by which owners are known).
 * A URI that is no record's AT-URI has no row.
 */
import { collectionCode } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, writeCollection, writeRkey } from '../../atproto/compact-key.ts';
import { beginKey, type SlotState } from '../slot-state.ts';
import { packTid } from './key-text.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

const slash = 47;
const tidLength = 13;
const plcDidLength = 32;
const didStart = 5;
const uriHead = Buffer.from('at://did:plc:', 'latin1');
const selfText = Buffer.from('self', 'latin1');

/** A collection as bytes and as code. */
export type KnownCollection = { readonly nsid: string; readonly text: Buffer; readonly code: number };

/** Returns what the fast path needs of an indexed collection. */
export function knownCollection(nsid: string): KnownCollection {
  const code = collectionCode(nsid);
  if (code === undefined) throw new Error(`${nsid} has no code`);
  return { nsid, text: Buffer.from(nsid, 'latin1'), code };
}

function isAt(source: Buffer, start: number, text: Buffer): boolean {
  for (let index = 0; index < text.length; index++) if (source[start + index] !== text[index]) return false;
  return true;
}

/** Makes keys of rows; `did`, `owner` and `state` tell of the last one. */
export class RowFinder {
  readonly #lookup: SlotLookup;
  readonly #tidKey = Buffer.alloc(15);
  readonly #selfKey = Buffer.alloc(7);
  #state: SlotState | undefined;
  did = '';
  owner = 0;

  constructor(lookup: SlotLookup) {
    this.#lookup = lookup;
  }

  /** State of the slot that holds the last key that was found. */
  get state(): SlotState {
    return this.#state!;
  }

  /**
   * Returns the key in `table` of the record that `source[start..end)` names, or undefined when there cannot be one.
   *
   * `wanted` is the collection that it must be of; with `isAnyCollection` it is only the one most asked for. The key is overwritten
   * by the next call. Errors: DataPlaneError `WrongEpoch`.
   */
  keyOf(
    source: Buffer,
    start: number,
    end: number,
    table: number,
    wanted: KnownCollection,
    isAnyCollection: boolean,
  ): Buffer | undefined {
    const collectionAt = start + didStart + plcDidLength + 1;
    const rkeyAt = collectionAt + wanted.text.length + 1;
    const isPlain =
      end > rkeyAt &&
      source[collectionAt - 1] === slash &&
      source[rkeyAt - 1] === slash &&
      isAt(source, start, uriHead) &&
      isAt(source, collectionAt, wanted.text);
    if (!isPlain) return this.#keyOfText(source, start, end, table, wanted, isAnyCollection);
    let key: Buffer;
    if (end - rkeyAt === tidLength && packTid(source, rkeyAt, this.#tidKey, 7)) {
      key = this.#tidKey;
      key[6] = 1;
    } else if (end - rkeyAt === selfText.length && isAt(source, rkeyAt, selfText)) {
      key = this.#selfKey;
      key[6] = 0;
    } else {
      return this.#keyOfText(source, start, end, table, wanted, isAnyCollection);
    }
    if (!this.#findOwner(source.latin1Slice(start + didStart, start + didStart + plcDidLength))) return undefined;
    key.writeUInt32BE(this.owner, 0);
    key[4] = table;
    key[5] = wanted.code;
    return key;
  }

  #findOwner(did: string): boolean {
    this.did = did;
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
    if (ref === undefined || (!isAnyCollection && ref.collection !== wanted.nsid)) return undefined;
    return this.keyOfRef(ref, table);
  }

  /** Returns the key of a record that is named by its parts. */
  keyOfRef(ref: RecordRef, table: number): Buffer | undefined {
    if (!this.#findOwner(ref.did)) return undefined;
    const key = beginKey(this.owner, table);
    writeCollection(key, ref.collection);
    writeRkey(key, ref.rkey);
    return key.finish();
  }
}
