/** What one request went through: when it began, how long it waited, which nodes it asked. */
import type { TraceContext } from '../../wire/trace-context.ts';

/** A call to a node. Units: monotonic ms; `endMs` is 0 while it is not answered. */
export type Step = { readonly node: string; readonly call: string; readonly beginMs: number; endMs: number };

/** Beyond so many calls of one request, only their number is kept. */
const stepsMax = 64;
const noSteps: readonly Step[] = [];

/** Hot: one is made for each request. */
export class RequestRun {
  readonly startMs: number;
  /** As the caller sent it, or null. */
  readonly trace: TraceContext | null;
  /** How long it waited for its turn, all in all. Units: ms. */
  waitedMs = 0;
  items = 0;
  /** Calls that are not among the steps. */
  left = 0;
  /** True for a request that shared the answer of an identical one. */
  isShared = false;
  #steps: Step[] | null = null;

  constructor(startMs: number, trace: TraceContext | null) {
    this.startMs = startMs;
    this.trace = trace;
  }

  /** Calls that were not answered at once, in the order in which they were sent. */
  get steps(): readonly Step[] {
    return this.#steps ?? noSteps;
  }

  /** Begins a step. Returns what to end, or null if it is not kept. */
  began(node: string, call: string, beginMs: number): Step | null {
    const step: Step = { node, call, beginMs, endMs: 0 };
    if (this.#steps === null) this.#steps = [step];
    else if (this.#steps.length < stepsMax) this.#steps.push(step);
    else {
      this.left++;
      return null;
    }
    return step;
  }
}
