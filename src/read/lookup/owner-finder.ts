/**
 * Finds owner numbers by did:plc DIDs that are still bytes of a request, without making strings.
 *
 * Owns: a two-way set-associative cache of owners by the DID's characters; a miss evicts the older
 * way. It needs no invalidation: an owner number never changes while a slot's handle is open.
 */
import { plcDidLength, plcLetterWords, readPlcLetters } from '../../atproto/did-plc.ts';
import { xxh32OfPlc } from '../../base/xxh32.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { requireWhole, type SlotLookup } from './slot-lookup.ts';

/** Log2 of the number of sets, which take 4 MiB. */
const setBits = 16;
/** A way: the words of the DID's characters, the owner, the slot plus one (0 in an empty way). */
const wayWords = plcLetterWords + 2;
const slotWord = plcLetterWords + 1;
const wayBytes = 4 * wayWords;

/** Of one `touch`. */
export const touchedDidsMax = 64;

/** Returns where the two ways of a DID begin. */
function setOf(hash: number): number {
  return (hash >>> (32 - setBits)) * 2 * wayWords;
}

/** `owner` is that of the last DID that was found. */
export class OwnerFinder {
  readonly #lookup: SlotLookup;
  readonly #ways = new Int32Array(2 ** setBits * 2 * wayWords);
  readonly #touchedSets = new Int32Array(touchedDidsMax);
  readonly #letters = new Int32Array(plcLetterWords);
  readonly #stateBySlot: (SlotState | undefined)[] = [];
  #state: SlotState | undefined;
  owner = 0;
  hits = 0;
  misses = 0;
  evictions = 0;
  bytes = 0;
  /** Without a use of what `touch` reads, the compiler would leave the reads out. */
  touched = 0;

  constructor(lookup: SlotLookup) {
    this.#lookup = lookup;
  }

  get capacityBytes(): number {
    return this.#ways.byteLength;
  }

  /** The slot of the last DID that was looked up, found or not. */
  get state(): SlotState {
    return this.#state!;
  }

  /**
   * Returns whether its slot knows the did:plc at `source[start..start + plcDidLength)`.
   *
   * Shape: `source` holds all of it. Errors: DataPlaneError `WrongEpoch`.
   */
  find(source: Buffer, start: number): boolean {
    const letters = this.#letters;
    readPlcLetters(source, start, letters);
    const hash = xxh32OfPlc(letters);
    const state = this.#lookup.stateOfHash(hash);
    this.#state = state;
    if (this.#stateBySlot[state.index] !== state) this.#replace(state);
    const at = setOf(hash);
    const way = this.#isAt(at, state) ? at : this.#isAt(at + wayWords, state) ? at + wayWords : -1;
    if (way < 0) return this.#findStored(state, at, source.latin1Slice(start, start + plcDidLength));
    this.hits++;
    this.owner = this.#ways[way + plcLetterWords]!;
    return true;
  }

  /** Reads where `find` will look for these DIDs; see `RecordCache.touch`. */
  touch(source: Buffer, starts: Int32Array, count: number): void {
    const ways = this.#ways;
    const letters = this.#letters;
    const sets = this.#touchedSets;
    for (let index = 0; index < count; index++) {
      readPlcLetters(source, starts[index]!, letters);
      sets[index] = setOf(xxh32OfPlc(letters));
    }
    // A loop of its own, so short that the processor runs ahead over several reads.
    let sum = 0;
    for (let index = 0; index < count; index++) sum ^= ways[sets[index]!]!;
    this.touched ^= sum;
  }

  #isAt(at: number, state: SlotState): boolean {
    const ways = this.#ways;
    const letters = this.#letters;
    return (
      ways[at] === letters[0] &&
      ways[at + 1] === letters[1] &&
      ways[at + 2] === letters[2] &&
      ways[at + 3] === letters[3] &&
      ways[at + 4] === letters[4] &&
      ways[at + 5] === letters[5] &&
      ways[at + slotWord] === state.index + 1
    );
  }

  /** An unknown DID is not cached: it may become known. */
  #findStored(state: SlotState, at: number, did: string): boolean {
    this.misses++;
    const owner = state.ownerOf(did);
    if (owner === undefined) {
      requireWhole(state);
      return false;
    }
    const ways = this.#ways;
    if (ways[at + wayWords + slotWord] === 0) this.bytes += wayBytes;
    else this.evictions++;
    ways.copyWithin(at + wayWords, at, at + wayWords);
    ways.set(this.#letters, at);
    ways[at + plcLetterWords] = owner;
    ways[at + slotWord] = state.index + 1;
    this.owner = owner;
    return true;
  }

  /** A reopened slot may be another copy of it, with other owner numbers. */
  #replace(state: SlotState): void {
    this.#stateBySlot[state.index] = state;
    this.#ways.fill(0);
    this.bytes = 0;
  }
}
