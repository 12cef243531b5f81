/** What an apply thread records: how long appends, transactions, commits and events take. */
import type { Clock } from '../base/clock.ts';
import { everyInterval, type Interval, Recording } from '../metrics/recording.ts';
import type { Slot } from '../slot/slot.ts';

export class ApplyRecording implements Disposable {
  readonly #recording = new Recording();
  readonly #clock: Clock;
  readonly #timer: Disposable;
  readonly #appends = this.#recording.histogram('skyshard_log_append_seconds').with();
  readonly #delays = this.#recording.histogram('skyshard_apply_delay_seconds').with();
  readonly #transactions = this.#recording.histogram('skyshard_transaction_seconds').with();
  readonly #commits = this.#recording.histogram('skyshard_commit_seconds').with();

  /** Measures the transactions of these slots. `post` gets what was recorded, once a second. */
  constructor(slots: readonly Slot[], clock: Clock, post: (interval: Interval) => void) {
    this.#clock = clock;
    for (const slot of slots) this.follow(slot);
    this.#timer = everyInterval(this.#recording, post);
  }

  /** Measures the transactions of one more slot. */
  follow({ environment }: Slot): void {
    environment.meter = {
      clock: this.#clock,
      committed: (workMs, commitMs) => {
        this.#transactions.recordMs(workMs);
        this.#commits.recordMs(commitMs);
      },
    };
  }

  /** Records an append that began then. Units: monotonic ms. */
  appended(startMs: number): void {
    this.#appends.recordMs(this.#clock.monotonicMs() - startMs);
  }

  /** Returns what is done after a commit: this, then its events are recorded, which can be read. */
  after(done: (slot: Slot) => void): (slot: Slot) => void {
    return (slot) => {
      done(slot);
      const nowMs = this.#clock.nowMs();
      for (const eventMs of slot.eventTimes.take()) this.#delays.recordMs(nowMs - eventMs);
    };
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
