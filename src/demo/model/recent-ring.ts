/** The newest things of a stream, bounded: what is older falls out. */
import type { SeededRandom } from '../../base/seeded-random.ts';

/** Keeps the last `capacity` items. */
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

  /** Returns any item with equal chance, or undefined when there is none. */
  any(random: SeededRandom): Item | undefined {
    return this.#items[random.below(this.#items.length)];
  }

  /** Returns an item, the newest far more often than the oldest. */
  newer(random: SeededRandom): Item | undefined {
    const length = this.#items.length;
    if (length === 0) return undefined;
    const age = Math.floor(length * random.next() ** 3);
    return this.#items[(this.#added - 1 - age) % this.#capacity];
  }
}

/** Remembers which pairs were seen lately, in fixed memory. It may forget one, and it never invents one in practice. */
export class RecentPairs {
  readonly #prints: Float64Array;

  /** Shape: `capacity` is a power of two. */
  constructor(capacity: number) {
    this.#prints = new Float64Array(capacity);
  }

  /** Notes the pair. Returns false when it was noted before. */
  add(first: number, second: number): boolean {
    const print = first * 2 ** 27 + second + 1;
    const mixed = Math.imul(first ^ 0x9e3779b1, 0x85ebca77) ^ Math.imul(second + 0x7f4a7c15, 0xc2b2ae3d);
    const place = (mixed ^ (mixed >>> 15)) & (this.#prints.length - 1);
    if (this.#prints[place] === print) return false;
    this.#prints[place] = print;
    return true;
  }
}
