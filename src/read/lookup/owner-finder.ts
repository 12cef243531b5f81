/**
 * Finds the owner numbers of did:plc DIDs that are still bytes of a request, without making strings
 * of them.
 *
 * Owns: a cache of owners by the DID's letters. An owner number never changes while a slot's handle
 * lives, so nothing in it is ever stale; two DIDs share a set of places, where the last one asked
 * for from the slot takes the place of the one before the other.
 */
import { plcDidLength, plcLetterWords, readPlcLetters } from '../../atproto/did-plc.ts';
import { xxh32OfPlc } from '../../base/xxh32.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { SlotLookup } from './slot-lookup.ts';

/** How many sets of two places the cache has. A power of two: 2^16 make 4 MiB. */
const setBits = 16;
/** Of one place: the words of the DID's letters, the owner, the slot plus one. */
const placeWords = plcLetterWords + 2;

/** Finds owners; `owner` and `state` tell of the last one that `find` found. */
export class OwnerFinder {
  readonly #lookup: SlotLookup;
  readonly #places = new Int32Array(2 ** setBits * 2 * placeWords);
  readonly #letters = new Int32Array(plcLetterWords);
  readonly #stateBySlot: (SlotState | undefined)[] = [];
  #state: SlotState | undefined;
  owner = 0;

  constructor(lookup: SlotLookup) {
    this.#lookup = lookup;
  }

  /** State of the slot of the DID that was asked for last. */
  get state(): SlotState {
    return this.#state!;
  }

  /**
   * Returns whether the slot of the did:plc at `source[start..start + plcDidLength)` knows it.
   *
   * Shape: all those bytes are there. Errors: DataPlaneError `WrongEpoch`.
   */
  find(source: Buffer, start: number): boolean {
    const letters = this.#letters;
    readPlcLetters(source, start, letters);
    const hash = xxh32OfPlc(letters);
    const state = this.#lookup.stateOfHash(hash);
    this.#state = state;
    if (this.#stateBySlot[state.index] !== state) this.#replace(state);
    const at = (hash >>> (32 - setBits)) * 2 * placeWords;
    if (this.#isAt(at, state)) {
      this.owner = this.#places[at + plcLetterWords]!;
      return true;
    }
    if (this.#isAt(at + placeWords, state)) {
      this.owner = this.#places[at + placeWords + plcLetterWords]!;
      return true;
    }
    return this.#findStored(state, at, source.latin1Slice(start, start + plcDidLength));
  }

  #isAt(at: number, state: SlotState): boolean {
    const places = this.#places;
    const letters = this.#letters;
    return (
      places[at] === letters[0] &&
      places[at + 1] === letters[1] &&
      places[at + 2] === letters[2] &&
      places[at + 3] === letters[3] &&
      places[at + 4] === letters[4] &&
      places[at + 5] === letters[5] &&
      places[at + plcLetterWords + 1] === state.index + 1
    );
  }

  /** An unknown DID is not remembered: it may become known. */
  #findStored(state: SlotState, at: number, did: string): boolean {
    const owner = state.ownerOf(did);
    if (owner === undefined) return false;
    const places = this.#places;
    places.copyWithin(at + placeWords, at, at + placeWords);
    places.set(this.#letters, at);
    places[at + plcLetterWords] = owner;
    places[at + plcLetterWords + 1] = state.index + 1;
    this.owner = owner;
    return true;
  }

  /** Another handle of a slot may stand for another copy of it, with other numbers. */
  #replace(state: SlotState): void {
    this.#stateBySlot[state.index] = state;
    this.#places.fill(0);
  }
}
