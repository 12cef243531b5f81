/** Caches the ActorInfo bytes of actors, which are read from eight rows and rarely change. */
import type { SlotState } from '../../slot/table/slot-state.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { GenerationalCache } from './generational-cache.ts';

/** A Buffer object without its content. */
const bufferBytes = 256;
const infoBytesMin = 64;

/** Returns bytes that nobody changes afterwards. */
export type InfoReader = (state: SlotState, owner: number) => Buffer;

export class ActorCache {
  /** Of all serving threads of a node. */
  static readonly capacityBytes = 64 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly #read: InfoReader;
  readonly cache: GenerationalCache<Buffer>;

  constructor(lookup: SlotLookup, read: InfoReader, capacityBytes: number) {
    this.#lookup = lookup;
    this.#read = read;
    this.cache = new GenerationalCache({ capacityBytes, valueBytesMin: bufferBytes + infoBytesMin });
  }

  /** Returns the ActorInfo of the DID at `source[start..end)`; undefined for an unknown actor. */
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
