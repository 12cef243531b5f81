/** The newest of the times that were added: a heap whose root is the oldest of them. */
export class NewestTimes {
  readonly #heap: Float64Array;
  #limit = 0;
  #count = 0;
  /** Older times are left out. Units: ms. */
  lastMs = Number.NEGATIVE_INFINITY;

  /** No limit is greater than `limitMax`. */
  constructor(limitMax: number) {
    this.#heap = new Float64Array(limitMax);
  }

  /** None is older than `fromMs`. */
  begin(limit: number, fromMs: number): void {
    this.#limit = limit;
    this.#count = 0;
    this.lastMs = limit > 0 ? fromMs : Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return this.#count === this.#limit;
  }

  add(timeMs: number): void {
    if (this.#count < this.#limit) {
      this.#siftUp(timeMs);
      if (this.#count === this.#limit) this.lastMs = this.#heap[0]!;
    } else if (timeMs > this.lastMs) {
      this.#replaceOldest(timeMs);
      this.lastMs = this.#heap[0]!;
    }
  }

  #siftUp(timeMs: number): void {
    const heap = this.#heap;
    let at = this.#count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= timeMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timeMs;
  }

  #replaceOldest(timeMs: number): void {
    const heap = this.#heap;
    const count = this.#count;
    let at = 0;
    for (let child = 1; child < count; child = at * 2 + 1) {
      if (child + 1 < count && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= timeMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = timeMs;
  }
}
