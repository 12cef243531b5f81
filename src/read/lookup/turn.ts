/**
 * How long one read may hold the serving thread: `turnMsMax` and the step that has begun by then.
 * Then others have their turn.
 *
 * A read whose cost strangers can raise is a generator that yields when its turn is over, and goes
 * on in a later turn of the event loop. What it read before a yield may be older than what it reads
 * afterwards. A read of many items may end its answer there instead, and be asked for the rest.
 */
import type { Clock } from '../../base/clock.ts';
import { answerBytesMax } from '../../wire/partial-answer.ts';

/** A fifth of what a request may hold the thread: its last step may take milliseconds. */
export const turnMsMax = 2;
/** The clock is looked at after about as much work. Units: µs. */
export const microsPerLook = 100;

/** A read that yields when its turn is over. */
export type SlicedRead<Result> = Generator<void, Result, void>;

export class Turn {
  readonly #clock: Clock;
  #endMs = Number.POSITIVE_INFINITY;
  #micros = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(): void {
    this.#endMs = this.#clock.monotonicMs() + turnMsMax;
    this.#micros = 0;
  }

  /** Call it after each step. `micros` is about how long that took at most. */
  isOver(micros: number): boolean {
    this.#micros += micros;
    if (this.#micros < microsPerLook) return false;
    this.#micros = 0;
    return this.#clock.monotonicMs() >= this.#endMs;
  }

  /** True when an answer of many items ends here, to be asked for the rest. */
  isItemsEnd(micros: number, answerBytes: number): boolean {
    return this.isOver(micros) || answerBytes > answerBytesMax;
  }

  /** True once the caller of a read no longer waits. */
  isPast(deadlineMs: number): boolean {
    return this.#clock.monotonicMs() > deadlineMs;
  }
}
