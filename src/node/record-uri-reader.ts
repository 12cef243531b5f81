/**
 * Reads AT-URIs of records out of message bytes, and finds their owners, with as few strings as can be.
 *
 * The common URI (a did:plc, the collection of the one before, any rkey) costs one small string. Any other takes the general way.
 */
import { parseRecordUri } from '../atproto/compact-key.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { xxh32 } from '../shardmap/slot-of.ts';
import type { SlotState } from '../slot/slot-state.ts';

const plcPrefix = Buffer.from('at://did:plc:');
const didStart = 'at://'.length;
const plcDidBytes = 'did:plc:'.length + 24;
const slash = '/'.charCodeAt(0);
const didScratch = Buffer.alloc(2048);

/** The record that a URI names: `read` fills the fields. */
export class RecordUriReader {
  collection = '';
  rkey = '';
  /** Hash of the DID's text, of which the slot is the lower bits. */
  didHash = 0;
  /** The 24 letters of a did:plc as four words of 32 bits of their own, or, with `isPlc` false, nothing of use. */
  isPlc = false;
  readonly didWords = new Uint32Array(6);
  #did: string | null = '';
  #source: Buffer = didScratch;
  #start = 0;
  readonly #lastCollection = Buffer.alloc(320);
  #lastCollectionBytes = 0;
  #lastCollectionText = '';

  /** The DID's text, made only when it is asked for and as long as the message lives. */
  get did(): string {
    this.#did ??= this.#source.latin1Slice(this.#start + didStart, this.#start + didStart + plcDidBytes);
    return this.#did;
  }

  /** Errors: DataPlaneError `InvalidArgument` for bytes that are not the AT-URI of a record with a DID. */
  read(source: Buffer, start: number, end: number): void {
    const didEnd = start + didStart + plcDidBytes;
    const isPlc = end > didEnd + 2 && source[didEnd] === slash && isPrefixAt(source, start, plcPrefix);
    const rkeySlash = isPlc ? source.indexOf(slash, didEnd + 1) : -1;
    const isSimple = rkeySlash > didEnd + 1 && rkeySlash < end - 1 && isPlainKey(source, rkeySlash + 1, end);
    if (!isSimple || rkeySlash - didEnd > 318) {
      this.#readAny(source.utf8Slice(start, end));
      return;
    }
    this.#source = source;
    this.#start = start;
    this.#did = null;
    this.isPlc = true;
    source.copy(didScratch, 0, start + didStart, didEnd);
    this.didHash = xxh32(didScratch, plcDidBytes);
    for (let word = 0; word < 6; word++) this.didWords[word] = didScratch.readUInt32LE(8 + word * 4);
    this.rkey = source.latin1Slice(rkeySlash + 1, end);
    this.#readCollection(source, didEnd + 1, rkeySlash);
  }

  #readCollection(source: Buffer, start: number, end: number): void {
    const bytes = end - start;
    if (bytes !== this.#lastCollectionBytes || !isEqualAt(source, start, this.#lastCollection, bytes)) {
      source.copy(this.#lastCollection, 0, start, end);
      this.#lastCollectionBytes = bytes;
      this.#lastCollectionText = source.utf8Slice(start, end);
    }
    this.collection = this.#lastCollectionText;
  }

  #readAny(uri: string): void {
    const ref = parseRecordUri(uri);
    if (ref === undefined)
      throw new DataPlaneError('InvalidArgument', `not the AT-URI of a record: ${uri.slice(0, 200)}`);
    this.isPlc = false;
    this.#did = ref.did;
    this.collection = ref.collection;
    this.rkey = ref.rkey;
    this.didHash = xxh32(didScratch, didScratch.write(ref.did));
  }
}

function isPrefixAt(source: Buffer, start: number, prefix: Buffer): boolean {
  return isEqualAt(source, start, prefix, prefix.length);
}

function isEqualAt(source: Buffer, start: number, other: Buffer, bytes: number): boolean {
  for (let index = 0; index < bytes; index++) if (source[start + index] !== other[index]) return false;
  return true;
}

/** Letters, digits and `-._~:`, at most 512 of them: what a record key may hold. */
function isPlainKey(source: Buffer, start: number, end: number): boolean {
  if (end - start > 512) return false;
  for (let index = start; index < end; index++) {
    const code = source[index]!;
    if (code < 45 || code > 126 || code === slash || (code > 58 && code < 65)) return false;
  }
  return true;
}

/** How many owners are remembered. A power of two. */
const ownersCachedMax = 2 ** 17;
const entryWords = 8;

/**
 * Owner numbers by did:plc, without strings. An owner number never changes while a slot's handle lives, so nothing is ever stale;
 * a place is taken over by the last DID that hashes to it.
 */
export class OwnerCache {
  /** Per place: six words of the DID, the owner, and the slot plus one. */
  readonly #words = new Uint32Array(ownersCachedMax * entryWords);
  readonly #stateBySlot = new Map<number, SlotState>();

  /** Returns the owner number in the slot, or 0 when the slot has never heard of the DID. */
  ownerOf(state: SlotState, ref: RecordUriReader): number {
    if (!ref.isPlc) return state.ownerOf(ref.did) ?? 0;
    if (this.#stateBySlot.get(state.index) !== state) this.#replace(state);
    const words = this.#words;
    const did = ref.didWords;
    const at = (ref.didHash >>> 15) * entryWords;
    const isCached =
      words[at] === did[0] &&
      words[at + 1] === did[1] &&
      words[at + 2] === did[2] &&
      words[at + 3] === did[3] &&
      words[at + 4] === did[4] &&
      words[at + 5] === did[5] &&
      words[at + 7] === state.index + 1;
    if (isCached) return words[at + 6]!;
    const owner = state.ownerOf(ref.did);
    if (owner === undefined) return 0;
    words.set(did, at);
    words[at + 6] = owner;
    words[at + 7] = state.index + 1;
    return owner;
  }

  /** Another handle of a slot may stand for another copy of it, with other numbers. */
  #replace(state: SlotState): void {
    this.#stateBySlot.set(state.index, state);
    this.#words.fill(0);
  }
}
