/**
 * For each of many actors a filter over the DIDs at which it points, side by side: a DID has one of
 * as many classes as a filter has bits.
 *
 * Most probes find nothing, and a filter says so without a look at the actor's set of DIDs, which
 * is elsewhere in memory.
 */
import type { DidSet } from './did-set.ts';

/** The bits of a class hash. */
const hashBits = 32;

export class ClassFilters {
  readonly #wordsEach: number;
  readonly #shift: number;
  readonly #words: Int32Array;

  /** `bitsEach` is a power of two, 32 or more. */
  constructor(count: number, bitsEach: number) {
    this.#wordsEach = bitsEach / 32;
    this.#shift = hashBits - Math.log2(bitsEach);
    this.#words = new Int32Array(count * this.#wordsEach);
  }

  /** Sets the filter at an index to the DIDs of a set, or to all DIDs where there is no set. */
  set(index: number, dids: DidSet | null | undefined): void {
    const at = index * this.#wordsEach;
    const filter = this.#words.subarray(at, at + this.#wordsEach);
    if (dids === null || dids === undefined) filter.fill(-1);
    else dids.writeClasses(filter, this.#shift);
  }

  /** True unless the filter at an index lacks the class of this hash. */
  mayHave(index: number, classHash: number): boolean {
    const each = classHash >>> this.#shift;
    return (this.#words[index * this.#wordsEach + (each >>> 5)]! & (1 << (each & 31))) !== 0;
  }
}
