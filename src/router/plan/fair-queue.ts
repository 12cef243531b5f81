/**
 * Whose work a router begins next: a line for each caller, served in turn by deficit round robin.
 *
 * Most requests run at once and are only counted. Two kinds wait here: the parts of a request for
 * very many items, so that others go first in between, and all requests while more than
 * `itemsRunningMax` are under way, so that one caller's backlog is not everyone's.
 *
 * Owns: the count of items under way, and that one turn of the event loop begins few of those that
 * wait. Admission limits how much may wait.
 */
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';

/** A part of a larger request, and what one turn of the event loop begins: about half a ms. */
export const itemsPerTurn = 250;

export type QueueLimits = {
  /** Items under way at nodes, beyond which requests wait. */
  readonly itemsRunningMax: number;
  /** A request that has waited for longer is refused. Units: ms. */
  readonly waitMsMax: number;
};

/** How often what waits for too long is looked for. */
const lateCheckMs = 100;

type Waiting = {
  readonly items: number;
  readonly endMs: number;
  /** Why it no longer waits past that time. */
  readonly late: 'DeadlineExceeded' | 'ResourceExhausted';
  readonly begin: () => void;
  readonly refuse: (error: DataPlaneError) => void;
  next: Waiting | null;
};

/** What one caller waits for. `credit` is how many items it may begin before the next caller. */
type Line = { first: Waiting; last: Waiting; credit: number };

export class FairQueue {
  readonly #limits: QueueLimits;
  readonly #clock: Clock;
  readonly #onBegun: (waitedMs: number) => void;
  /** The first line is served next. */
  readonly #lineByCaller = new Map<string, Line>();
  #itemsRunning = 0;
  #itemsWaiting = 0;
  #turns = 0;
  #refusals = 0;
  #isTurnDue = false;
  #lateTimer: NodeJS.Timeout | null = null;

  /** `onBegun` is called with how long something waited, when its turn comes. */
  constructor(limits: QueueLimits, clock: Clock, onBegun: (waitedMs: number) => void = () => {}) {
    this.#limits = limits;
    this.#clock = clock;
    this.#onBegun = onBegun;
  }

  /** True while requests must wait. */
  get isCrowded(): boolean {
    return this.#itemsRunning >= this.#limits.itemsRunningMax;
  }

  get itemsRunning(): number {
    return this.#itemsRunning;
  }

  get itemsWaiting(): number {
    return this.#itemsWaiting;
  }

  /** How often something that waited began. */
  get turns(): number {
    return this.#turns;
  }

  /** Requests that waited for too long. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Counts items that are under way, until `ended`. */
  began(items: number): void {
    this.#itemsRunning += items;
  }

  ended(items: number): void {
    this.#itemsRunning -= items;
    if (this.#lineByCaller.size > 0) this.#turnSoon();
  }

  /**
   * Resolves when it is the turn of so many items, which are under way from then on.
   *
   * Units: `deadlineMs` is monotonic. Errors: DataPlaneError `DeadlineExceeded` past the deadline;
   * `ResourceExhausted` past `waitMsMax`, unless it is a part of what has begun.
   */
  turnOf(caller: string, items: number, deadlineMs: number, isPart: boolean): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    const waitEndMs = startMs + this.#limits.waitMsMax;
    const mayLast = isPart || deadlineMs < waitEndMs;
    const endMs = mayLast ? deadlineMs : waitEndMs;
    const late = mayLast ? 'DeadlineExceeded' : 'ResourceExhausted';
    return new Promise((resolve, refuse) => {
      const begin = (): void => {
        this.#onBegun(this.#clock.monotonicMs() - startMs);
        resolve();
      };
      this.#add(caller, { items, endMs, late, begin, refuse, next: null });
      this.#itemsWaiting += items;
      this.#lateTimer ??= setTimeout(this.#refuseLate, lateCheckMs);
      this.#turnSoon();
    });
  }

  /** Runs a part of a request when it is its turn. Errors: those of `turnOf` and of `run`. */
  async runPart<Result>(
    caller: string,
    items: number,
    deadlineMs: number,
    run: () => Promise<Result> | Result,
  ): Promise<Result> {
    await this.turnOf(caller, items, deadlineMs, true);
    try {
      return await run();
    } finally {
      this.ended(items);
    }
  }

  #add(caller: string, waiting: Waiting): void {
    const line = this.#lineByCaller.get(caller);
    if (line === undefined) {
      this.#lineByCaller.set(caller, { first: waiting, last: waiting, credit: 0 });
      return;
    }
    line.last.next = waiting;
    line.last = waiting;
  }

  #turnSoon(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.#turn();
      if (this.#lineByCaller.size > 0 && !this.isCrowded) this.#turnSoon();
    });
  }

  /** Begins what waits, up to `itemsPerTurn` or a single larger one. */
  #turn(): void {
    for (let begun = 0; begun < itemsPerTurn && !this.isCrowded; ) {
      const next = this.#takeNext();
      if (next === null) return;
      this.#turns++;
      begun += next.items;
      this.began(next.items);
      next.begin();
    }
  }

  /** Takes the next one out of its line. A line whose credit does not suffice goes to the end. */
  #takeNext(): Waiting | null {
    while (true) {
      const head = this.#lineByCaller.entries().next();
      if (head.done === true) return null;
      const [caller, line] = head.value;
      const { first } = line;
      if (line.credit >= first.items) {
        line.credit -= first.items;
        this.#takeFirst(caller, line);
        return first;
      }
      line.credit += itemsPerTurn;
      this.#lineByCaller.delete(caller);
      this.#lineByCaller.set(caller, line);
    }
  }

  #takeFirst(caller: string, line: Line): void {
    const { items, next } = line.first;
    this.#itemsWaiting -= items;
    if (next === null) this.#lineByCaller.delete(caller);
    else line.first = next;
  }

  #messageOf({ late }: Waiting): string {
    if (late === 'DeadlineExceeded') return 'the deadline passed while the request waited for its turn';
    return `the request waited for its turn for longer than waitMsMax = ${this.#limits.waitMsMax} ms`;
  }

  /** A line is in the order of arrival, so what is late is at its head. */
  readonly #refuseLate = (): void => {
    const nowMs = this.#clock.monotonicMs();
    for (const [caller, line] of this.#lineByCaller) {
      for (let waiting: Waiting | null = line.first; waiting !== null && waiting.endMs < nowMs; ) {
        this.#takeFirst(caller, line);
        this.#refusals++;
        waiting.refuse(new DataPlaneError(waiting.late, this.#messageOf(waiting)));
        waiting = waiting.next;
      }
    }
    this.#lateTimer = this.#itemsWaiting > 0 ? setTimeout(this.#refuseLate, lateCheckMs) : null;
  };
}
