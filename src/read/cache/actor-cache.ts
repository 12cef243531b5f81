/** The ActorInfo bytes of actors, which take seven rows to make and seldom change. */
import type { SlotState } from '../../slot/table/slot-state.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { GenerationalCache } from './generational-cache.ts';

const capacityBytesDefault = 64 * 2 ** 20;
/** A Buffer, without its bytes. */
const bufferBytes = 256;
const infoBytesMin = 64;

/** Makes the bytes of one actor. They must not change afterwards. */
export type InfoReader = (state: SlotState, owner: number) => Buffer;

export class ActorCache {
  readonly #lookup: SlotLookup;
  readonly #read: InfoReader;
  readonly cache: GenerationalCache<Buffer>;

  constructor(lookup: SlotLookup, read: InfoReader, capacityBytes = capacityBytesDefault) {
    this.#lookup = lookup;
    this.#read = read;
    this.cache = new GenerationalCache({ capacityBytes, valueBytesMin: bufferBytes + infoBytesMin });
  }

  /** Returns the bytes of the actor at `source[start..end)`; undefined for one that its slot does not know. */
  get(source: Buffer, start: number, end: number): Buffer | undefined {
    return this.cache.get(source, start, end) ?? this.#fill(source.latin1Slice(start, end));
  }

  #fill(did: string): Buffer | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const info = this.#read(state, owner);
    this.cache.set({ did, slot: state.index, owner }, info, bufferBytes + info.length);
    return info;
  }
}
