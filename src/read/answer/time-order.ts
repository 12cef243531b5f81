/** Sorts small numbers by times, without an object or a comparison function for each. */
import { endianness } from 'node:os';

/** What is sorted is below it. */
export const orderedMax = 2 ** 16;
/** Of the two words of a sorted number the lower one, which ends with what is sorted. */
const [lowWord, highWord] = endianness() === 'LE' ? [0, 1] : [1, 0];

export class TimeOrder {
  /** Above what is sorted, each has the six bytes of its time. */
  #numbers = new BigUint64Array(256);
  #words = new Uint32Array(this.#numbers.buffer);
  count = 0;

  clear(): this {
    this.count = 0;
    return this;
  }

  /** Adds a number below `orderedMax` and its time: the first four bytes, and the last two. */
  add(number: number, timeHigh: number, timeLow: number): void {
    if (this.count === this.#numbers.length) this.#grow();
    const at = 2 * this.count++;
    this.#words[at + highWord] = timeHigh;
    this.#words[at + lowWord] = (timeLow << 16) | number;
  }

  #grow(): void {
    const grown = new BigUint64Array(4 * this.count);
    grown.set(this.#numbers);
    this.#numbers = grown;
    this.#words = new Uint32Array(grown.buffer);
  }

  /** Sorts ascending by time, those of one time by their numbers. */
  sort(): this {
    this.#numbers.subarray(0, this.count).sort();
    return this;
  }

  /** Returns the number at a position of the order. */
  at(position: number): number {
    return this.#words[2 * position + lowWord]! & 0xffff;
  }
}
