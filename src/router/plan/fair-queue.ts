/**
 * Whose work a router begins next: a line for each caller, served in turn by deficit round robin.
 *
 * Most requests run at once and are only counted. Two kinds wait here: the parts of a request for
 * very many items, so that others go first in between, and all requests while nodes have as much as
 * they answer in `runMsMax`. So work waits where it can be refused, and not at nodes, and one
 * caller's backlog is not everyone's.
 *
 * Owns: the count of items under way, how much may wait, and that one turn of the event loop begins
 * few parts. Refuses: a request that would wait for longer than `waitMsMax`, before it is read.
 */
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { rateWindowMs, ServedRate } from './served-rate.ts';

/** A part of a larger request, and what one turn of the event loop begins: about half a ms. */
export const itemsPerTurn = 250;

export type QueueLimits = {
  /** Items under way at nodes, beyond which requests wait. */
  readonly itemsRunningMax: number;
  /** They wait too beyond what nodes answer in so long, if that is less. Units: ms. */
  readonly runMsMax: number;
  /** A request that has waited for longer is refused, or would. Units: ms. */
  readonly waitMsMax: number;
  /** Items that may wait. */
  readonly itemsWaitingMax: number;
  /** Of these, those of one caller. */
  readonly itemsWaitingOfCallerMax: number;
};

/** So much may always be under way, since it may be that no more was asked for lately. */
const itemsRunningMin = 2_000;

type WaitLimit = 'waitMsMax' | 'itemsWaitingMax' | 'itemsWaitingOfCallerMax';

/** How often what waits for too long is looked for. */
const lateCheckMs = 100;

type Waiting = {
  readonly items: number;
  readonly isPart: boolean;
  readonly endMs: number;
  /** Why it no longer waits past that time. */
  readonly late: 'DeadlineExceeded' | 'ResourceExhausted';
  readonly begin: () => void;
  readonly refuse: (error: DataPlaneError) => void;
  next: Waiting | null;
};

/** What one caller waits for. `credit` is how many items it may begin before the next caller. */
type Line = { first: Waiting; last: Waiting; credit: number; items: number };

export class FairQueue {
  readonly #limits: QueueLimits;
  readonly #clock: Clock;
  readonly #onBegun: (waitedMs: number) => void;
  /** The first line is served next. */
  readonly #lineByCaller = new Map<string, Line>();
  readonly #rate: ServedRate;
  /** Made once, since most refusals come when there is no time for them. */
  readonly #errorByLimit: Readonly<Record<WaitLimit, DataPlaneError>>;
  readonly #refusals: Record<WaitLimit, number> = { waitMsMax: 0, itemsWaitingMax: 0, itemsWaitingOfCallerMax: 0 };
  #itemsRunning = 0;
  #itemsWaiting = 0;
  /** Whole requests. */
  #requestsWaiting = 0;
  #waitingSinceMs = 0;
  #turns = 0;
  #isTurnDue = false;
  #lateTimer: NodeJS.Timeout | null = null;

  /** `onBegun` is called with how long something waited, when its turn comes. */
  constructor(limits: QueueLimits, clock: Clock, onBegun: (waitedMs: number) => void = () => {}) {
    this.#limits = limits;
    this.#clock = clock;
    this.#onBegun = onBegun;
    this.#rate = new ServedRate(clock.monotonicMs());
    const errorOf = (limit: WaitLimit, problem: string): DataPlaneError =>
      new DataPlaneError('ResourceExhausted', `${problem} ${limit} = ${limits[limit]}`);
    this.#errorByLimit = {
      waitMsMax: errorOf('waitMsMax', 'the request would wait for its turn for longer than'),
      itemsWaitingMax: errorOf('itemsWaitingMax', 'the items that wait for their turn are'),
      itemsWaitingOfCallerMax: errorOf('itemsWaitingOfCallerMax', 'the items of this caller that wait are'),
    };
  }

  /** True while requests must wait: there is no room, or others wait for it. */
  get isCrowded(): boolean {
    return this.#requestsWaiting > 0 || this.#isFull;
  }

  get #isFull(): boolean {
    const { itemsRunningMax } = this.#limits;
    return (
      this.#itemsRunning >= Math.min(itemsRunningMax, itemsRunningMin) && this.#itemsRunning >= this.itemsRunningMax
    );
  }

  /** How many items may be under way now. */
  get itemsRunningMax(): number {
    const { itemsRunningMax, runMsMax } = this.#limits;
    const served = this.#rate.at(this.#clock.monotonicMs()) * runMsMax;
    return Math.min(itemsRunningMax, Math.max(itemsRunningMin, Math.round(served)));
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

  /** Refused requests. */
  get refusedByLimit(): Readonly<Record<WaitLimit, number>> {
    return this.#refusals;
  }

  /** Counts items that are under way, until `ended`. */
  began(items: number): void {
    this.#itemsRunning += items;
  }

  ended(items: number): void {
    this.#rate.add(items);
    this.giveBack(items);
  }

  /** Counts items as not under way that nodes were not asked for. */
  giveBack(items: number): void {
    this.#itemsRunning -= items;
    if (this.#lineByCaller.size > 0) this.#turnSoon();
  }

  /** Returns why the next request of a caller is refused, which counts as refused then; or null. */
  refusalOf(caller: string): DataPlaneError | null {
    if (this.#requestsWaiting === 0) return null;
    const ofCaller = this.#lineByCaller.get(caller)?.items ?? 0;
    const limit = this.#limitFor(ofCaller);
    if (limit === null) return null;
    this.#refusals[limit]++;
    return this.#errorByLimit[limit];
  }

  #limitFor(ofCaller: number): WaitLimit | null {
    const { waitMsMax, itemsWaitingMax, itemsWaitingOfCallerMax } = this.#limits;
    if (this.#itemsWaiting >= itemsWaitingMax) return 'itemsWaitingMax';
    if (ofCaller >= itemsWaitingOfCallerMax) return 'itemsWaitingOfCallerMax';
    const nowMs = this.#clock.monotonicMs();
    // Before that, the rate may be of a time in which little was asked for.
    if (nowMs - this.#waitingSinceMs < 2 * rateWindowMs) return null;
    const itemsBefore = Math.min(this.#itemsWaiting, ofCaller * this.#lineByCaller.size);
    return itemsBefore > waitMsMax * this.#rate.at(nowMs) ? 'waitMsMax' : null;
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
      if (!isPart && this.#requestsWaiting++ === 0) this.#waitingSinceMs = startMs;
      this.#add(caller, { items, isPart, endMs, late, begin, refuse, next: null });
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
      this.#lineByCaller.set(caller, { first: waiting, last: waiting, credit: 0, items: waiting.items });
      return;
    }
    line.items += waiting.items;
    line.last.next = waiting;
    line.last = waiting;
  }

  #turnSoon(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.#turn();
      if (this.#lineByCaller.size > 0 && !this.#isFull) this.#turnSoon();
    });
  }

  /**
   * Begins what waits while there is room: requests as many as there are, since a turn is long when
   * many come; parts up to `itemsPerTurn` or a single larger one.
   */
  #turn(): void {
    const nowMs = this.#clock.monotonicMs();
    for (let itemsOfParts = 0; itemsOfParts < itemsPerTurn && !this.#isFull; ) {
      const next = this.#takeNext();
      if (next === null) return;
      if (next.endMs < nowMs) {
        this.#refuse(next);
        continue;
      }
      this.#turns++;
      if (next.isPart) itemsOfParts += next.items;
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
    const { items, isPart, next } = line.first;
    this.#itemsWaiting -= items;
    line.items -= items;
    if (!isPart) this.#requestsWaiting--;
    if (next === null) this.#lineByCaller.delete(caller);
    else line.first = next;
  }

  #refuse({ late, refuse }: Waiting): void {
    this.#refusals.waitMsMax++;
    if (late === 'ResourceExhausted') return refuse(this.#errorByLimit.waitMsMax);
    refuse(new DataPlaneError(late, 'the deadline passed while the request waited for its turn'));
  }

  /** A line is in the order of arrival, so what is late is at its head. */
  readonly #refuseLate = (): void => {
    const nowMs = this.#clock.monotonicMs();
    for (const [caller, line] of this.#lineByCaller) {
      for (let waiting: Waiting | null = line.first; waiting !== null && waiting.endMs < nowMs; ) {
        this.#takeFirst(caller, line);
        this.#refuse(waiting);
        waiting = waiting.next;
      }
    }
    this.#lateTimer = this.#itemsWaiting > 0 ? setTimeout(this.#refuseLate, lateCheckMs) : null;
  };
}
