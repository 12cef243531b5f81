/**
 * Second attempts of reads, at other copies, while the first has not answered.
 *
 * A read waits as long as all but few of its method take, and at most `hedgeDelayMsMax`: then one
 * slow node is not what the caller waits for. The first answer counts. Owns: when a read is asked
 * again, and how many are: a budget keeps copies that are all slow from getting twice the load.
 */
import type { Clock } from '../../base/clock.ts';
import { InvariantError } from '../../base/invariant.ts';

export type HedgeLimits = {
  /** Second attempts, of all reads. */
  readonly hedgePercentMax: number;
  /** As many may come at once, when a node hangs. */
  readonly hedgeBurstMax: number;
  /** Units: ms. */
  readonly hedgeDelayMsMax: number;
};

export const hedgeLimitDefaults: HedgeLimits = { hedgePercentMax: 5, hedgeBurstMax: 32, hedgeDelayMsMax: 50 };

/** How often what is due is looked for. Units: ms. */
const lookMs = 2;
/** The part of reads that end before their delay, and how fast it follows what they take. */
const quantile = 0.95;
const step = 0.1;

/** How long the reads of one method take, all but few. */
class Delay {
  ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  /** Moves towards the quantile: far up for the few above it, a little down for the others. */
  record(tookMs: number, msMax: number): void {
    const ms = tookMs > this.ms ? this.ms * (1 + step * quantile) : this.ms * (1 - step * (1 - quantile));
    this.ms = Math.min(msMax, Math.max(lookMs, ms));
  }
}

/** Who answered a request that was asked again: the second attempt, the first, or none. */
export type HedgeOutcome = 'won' | 'lost' | 'failed';

type Waiting = { readonly dueMs: number; readonly send: () => void };

/** A read that may be asked again. */
export type Hedgeable = {
  readonly method: string;
  readonly first: Promise<Uint8Array>;
  /** False while the first waits for a node of which there is no copy. */
  readonly mayAskAgain: () => boolean;
  readonly askAgain: () => Promise<Uint8Array> | Uint8Array;
};

export class Hedges {
  readonly #limits: HedgeLimits;
  readonly #clock: Clock;
  readonly #onEnded: (outcome: HedgeOutcome, durationMs: number) => void;
  readonly #delayByMethod = new Map<string, Delay>();
  readonly #waiting = new Set<Waiting>();
  readonly #counts = { sent: 0, won: 0, withheld: 0 };
  #tokens: number;
  #timer: NodeJS.Timeout | null = null;

  /** `onEnded` is called with how a second attempt ended, and how long after it was sent. */
  constructor(
    limits: HedgeLimits,
    clock: Clock,
    onEnded: (outcome: HedgeOutcome, durationMs: number) => void = () => {},
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#onEnded = onEnded;
    this.#tokens = limits.hedgeBurstMax;
  }

  /** Second attempts that were sent, that answered first, and that the budget did not allow. */
  get counts(): { readonly sent: number; readonly won: number; readonly withheld: number } {
    return this.#counts;
  }

  /** Yields how long reads wait before they are asked again. Units: ms. */
  *delays(): Generator<readonly [method: string, ms: number]> {
    for (const [method, { ms }] of this.#delayByMethod) yield [method, ms];
  }

  /** Returns the first answer that comes, else the error of the first attempt. */
  run({ method, first, mayAskAgain, askAgain }: Hedgeable): Promise<Uint8Array> {
    const { hedgePercentMax, hedgeBurstMax, hedgeDelayMsMax } = this.#limits;
    this.#tokens = Math.min(hedgeBurstMax, this.#tokens + hedgePercentMax / 100);
    const delay = this.#delayOf(method);
    const startMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      let second: Promise<Uint8Array> | null = null;
      let isAnswered = false;
      let sentMs = 0;
      const ended = (outcome: HedgeOutcome): void => this.#onEnded(outcome, this.#clock.monotonicMs() - sentMs);
      const send = (): void => {
        if (!mayAskAgain() || !this.#takeToken()) return;
        sentMs = this.#clock.monotonicMs();
        second = promised(askAgain);
        second.then(
          (answer) => {
            if (!isAnswered) {
              this.#counts.won++;
              ended('won');
            }
            isAnswered = true;
            resolve(answer);
          },
          (thrown: unknown) => {
            if (thrown instanceof InvariantError) reject(thrown);
          },
        );
      };
      const waiting: Waiting = { dueMs: startMs + delay.ms, send };
      this.#wait(waiting);
      const end = (): void => {
        this.#waiting.delete(waiting);
        delay.record(this.#clock.monotonicMs() - startMs, hedgeDelayMsMax);
      };
      first.then(
        (answer) => {
          end();
          if (second !== null && !isAnswered) ended('lost');
          isAnswered = true;
          resolve(answer);
        },
        (thrown: unknown) => {
          end();
          if (second === null) reject(thrown);
          else
            second.then(resolve, () => {
              ended('failed');
              reject(thrown);
            });
        },
      );
    });
  }

  #delayOf(method: string): Delay {
    let delay = this.#delayByMethod.get(method);
    if (delay === undefined) {
      // Until it is known what reads take, few are asked again.
      delay = new Delay(this.#limits.hedgeDelayMsMax);
      this.#delayByMethod.set(method, delay);
    }
    return delay;
  }

  #takeToken(): boolean {
    const has = this.#tokens >= 1;
    if (has) this.#tokens--;
    this.#counts[has ? 'sent' : 'withheld']++;
    return has;
  }

  #wait(waiting: Waiting): void {
    this.#waiting.add(waiting);
    this.#timer ??= setTimeout(this.#look, lookMs);
  }

  readonly #look = (): void => {
    const nowMs = this.#clock.monotonicMs();
    for (const waiting of this.#waiting) {
      if (waiting.dueMs > nowMs) continue;
      this.#waiting.delete(waiting);
      waiting.send();
    }
    this.#timer = this.#waiting.size > 0 ? setTimeout(this.#look, lookMs) : null;
  };
}

async function promised(ask: () => Promise<Uint8Array> | Uint8Array): Promise<Uint8Array> {
  return await ask();
}
