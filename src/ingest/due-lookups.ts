/**
 * Starts the look-ups of a durable queue as they become due, and says when those that nobody had
 * tried were tried.
 *
 * Owns: one run at a time per DID, how many run at once in each lane, and when the queue is read.
 */
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { type LookupLane, type LookupQueue, lookupLanes, type QueuedLookup } from './state/lookup-queue.ts';

export type DueLookupsOptions = {
  readonly queue: LookupQueue;
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** Look-ups of one lane at once; above what its hosts' bounds let run and wait. */
  readonly runningMax: number;
  /** False while a look-up of this DID could not start. */
  readonly hasCapacity: (did: string) => boolean;
  /** Makes one attempt and stores what became of it. */
  readonly attempt: (row: QueuedLookup) => Promise<void>;
  /** An attempt failed to store its outcome; the look-up is still due. */
  readonly onFailure: () => void;
};

/** How often the queue is read while nothing wakes it. */
const scanMs = 5000;
/** Rows read in one go beyond those that may start, so that crowded ones hide no others. */
const crowdedRowsMax = 100;
/** Delay of a look-up whose site has too many; longer when many wait. Units: seconds. */
const crowdedSecMin = 30;
const crowdedPerSec = 100;
const failureMs = 1000;
/** Delays between attempts: an hour of trying has about six. */
export const retryPolicy = { firstMs: 60_000, maxMs: 21_600_000 };

/** Returns how many seconds pass before the next attempt after `attempts` of them. */
export function retryDelaySec(attempts: number, random: SeededRandom): number {
  return Math.ceil(backoffMs(retryPolicy, attempts, random) / 1000);
}

/** One lane. */
class DueLane {
  readonly #lane: LookupLane;
  readonly #options: DueLookupsOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Map<string, Promise<void>>();
  #wake: () => void = () => {};
  #isAwake = false;
  #attempted: (() => void)[] = [];

  constructor(lane: LookupLane, options: DueLookupsOptions, signal: AbortSignal) {
    this.#lane = lane;
    this.#options = options;
    this.#signal = signal;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000);
  }

  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      this.#isAwake = false;
      const isMoreDue = await this.#startDue();
      if (this.#isAwake) continue;
      const woken = new AbortController();
      // A reason spares the making of an exception.
      this.#wake = () => woken.abort('woken');
      // Ends of attempts wake it as well, which is when more of what is due may start.
      const sleep = this.#options.clock.sleep(isMoreDue ? failureMs : scanMs, woken.signal);
      await orAborted(sleep, this.#signal);
      woken.abort('over');
    }
    await Promise.all(this.#running.values());
  }

  /** Starts what is due. Returns whether more is due than could start. */
  async #startDue(): Promise<boolean> {
    const { queue, runningMax, hasCapacity } = this.#options;
    const limit = runningMax - this.#running.size + crowdedRowsMax;
    const rows = queue.dueAt(this.#lane, this.#nowSec(), limit, (did) => this.#running.has(did));
    const crowded: Promise<void>[] = [];
    for (const row of rows) {
      if (this.#running.size >= runningMax) break;
      if (hasCapacity(row.did)) this.#start(row);
      else crowded.push(this.#putOff(row));
    }
    await Promise.all(crowded).catch(operatingFailure);
    if (crowded.length > 0) this.#noteAttempts();
    return rows.length > 0;
  }

  /** Lets others pass a look-up whose site has enough of them. */
  #putOff({ did }: QueuedLookup): Promise<void> {
    const { queue, random } = this.#options;
    const meanSec = Math.max(crowdedSecMin, queue.count / crowdedPerSec);
    const delaySec = Math.ceil(meanSec * (0.5 + random.next()));
    return queue.change(did, (now) => ({ ...now, dueSec: this.#nowSec() + delaySec }));
  }

  #start(row: QueuedLookup): void {
    const attempt = async (): Promise<void> => {
      try {
        await this.#options.attempt(row);
      } catch (error) {
        operatingFailure(error);
        this.#options.onFailure();
        // Storage is full or the log refuses: the row stays due, and nothing may spin on it.
        await this.#options.clock.sleep(failureMs, this.#signal);
      } finally {
        this.#running.delete(row.did);
        this.#noteAttempts();
        // Each read passes over what runs, so it should find several to start.
        if (this.#running.size <= this.#options.runningMax * 0.75) this.wake();
      }
    };
    this.#running.set(row.did, attempt());
  }

  #noteAttempts(): void {
    for (const resolve of this.#attempted.splice(0)) resolve();
  }

  async firstAttempts(signal: AbortSignal): Promise<boolean> {
    const untilSec = this.#nowSec();
    while ((this.#options.queue.nextDueSec(this.#lane, false) ?? untilSec + 1) <= untilSec) {
      if (signal.aborted) return false;
      const next = Promise.withResolvers<void>();
      this.#attempted.push(next.resolve);
      await orAborted(next.promise, signal);
    }
    return true;
  }
}

export class DueLookups {
  readonly #lanes: readonly DueLane[];

  /** Runs once `run` is called, until the signal aborts. */
  constructor(options: DueLookupsOptions, signal: AbortSignal) {
    this.#lanes = lookupLanes.map((lane) => new DueLane(lane, options, signal));
  }

  get runningCount(): number {
    return this.#lanes.reduce((sum, { runningCount }) => sum + runningCount, 0);
  }

  /** Reads the queue soon: something in it has become due. */
  wake(): void {
    for (const lane of this.#lanes) lane.wake();
  }

  async run(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.run()));
  }

  /**
   * Waits until every look-up that is queued now was tried once, or put off. Returns: false when
   * the signal aborted first.
   */
  async firstAttempts(signal: AbortSignal): Promise<boolean> {
    const made = await Promise.all(this.#lanes.map((lane) => lane.firstAttempts(signal)));
    return made.every((isMade) => isMade);
  }
}
