/** Bounded windows on a stream: its newest items, and the pairs seen recently. */
import type { SeededRandom } from '../../base/seeded-random.ts';

/** Holds the last `capacity` items. */
export class RecentRing<Item> {
  readonly #items: Item[] = [];
  readonly #capacity: number;
  /** How many were ever added. */
  #added = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    this.#items[this.#added % this.#capacity] = item;
    this.#added++;
  }

  /** Returns a uniformly random item, or undefined when there is none. */
  any(random: SeededRandom): Item | undefined {
    return this.#items[random.below(this.#items.length)];
  }

  /** Returns a random item, the newest far more often than the oldest. */
  newer(random: SeededRandom): Item | undefined {
    const length = this.#items.length;
    if (length === 0) return undefined;
    const age = Math.floor(length * random.next() ** 3);
    return this.#items[(this.#added - 1 - age) % this.#capacity];
  }
}

/** A lossy set of recent pairs in fixed memory: it may lose pairs, and in practice invents none. */
export class RecentPairs {
  readonly #prints: Float64Array;

  /** Shape: `capacity` is a power of two. */
  constructor(capacity: number) {
    this.#prints = new Float64Array(capacity);
  }

  /** Adds the pair. Returns false when it was already present. */
  add(first: number, second: number): boolean {
    const print = first * 2 ** 27 + second + 1;
    const mixed = Math.imul(first ^ 0x9e3779b1, 0x85ebca77) ^ Math.imul(second + 0x7f4a7c15, 0xc2b2ae3d);
    const index = (mixed ^ (mixed >>> 15)) & (this.#prints.length - 1);
    if (this.#prints[index] === print) return false;
    this.#prints[index] = print;
    return true;
  }
}
