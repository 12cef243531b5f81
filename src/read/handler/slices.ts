/**
 * Runs reads that yield: the first slice at once, then one slice in each turn of the event loop.
 *
 * Long reads wait for each other in a queue. Were each to go on in every turn, all would end late,
 * and a turn would last as long as their slices together.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** Slices of one read before the next one goes on: most reads end within them. */
export const slicesInRowMax = 8;

type LongRead = {
  readonly read: SlicedRead<Uint8Array>;
  readonly deadlineMs: number;
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (thrown: unknown) => void;
  readonly ended: PromiseWithResolvers<void>;
};

/** The long reads of one serving thread. */
export class SliceQueue {
  readonly #turn: Turn;
  /** The first one goes on next. */
  readonly #waiting: LongRead[] = [];
  #slicesInRow = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** Resolves once all reads that are under way have ended: what they look up may go then. */
  async begunHaveEnded(): Promise<void> {
    await Promise.all(this.#waiting.map(({ ended }) => ended.promise));
  }

  /** Returns the answer, or a promise if it takes more than one turn. */
  run(read: SlicedRead<Uint8Array>, deadlineMs: number): Uint8Array | Promise<Uint8Array> {
    this.#turn.begin();
    const slice = read.next();
    if (slice.done === true) return slice.value;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ read, deadlineMs, resolve, reject, ended: Promise.withResolvers() });
      if (this.#waiting.length === 1) this.#goOnNextTurn();
    });
  }

  #goOnNextTurn(): void {
    setImmediate(() => {
      const first = this.#waiting[0]!;
      if (this.#hasEnded(first)) {
        first.ended.resolve();
        this.#letNextGoOn();
      } else if (++this.#slicesInRow === slicesInRowMax) {
        this.#letNextGoOn();
        this.#waiting.push(first);
      }
      if (this.#waiting.length > 0) this.#goOnNextTurn();
    });
  }

  #letNextGoOn(): void {
    this.#waiting.shift();
    this.#slicesInRow = 0;
  }

  /** Runs a slice. Returns true if it was the last. */
  #hasEnded({ read, deadlineMs, resolve, reject }: LongRead): boolean {
    try {
      if (this.#turn.isPast(deadlineMs))
        throw new DataPlaneError('DeadlineExceeded', 'a long read passed its deadline');
      this.#turn.begin();
      const slice = read.next();
      // The answer may be in memory of a later read.
      if (slice.done === true) resolve(Buffer.from(slice.value));
      return slice.done === true;
    } catch (thrown) {
      reject(thrown);
      return true;
    }
  }
}
