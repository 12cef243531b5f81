/**
 * Notes requests that took long, with the nodes that they asked and how long each step took; keeps
 * the slowest of the last minutes.
 *
 * Owns: how many are noted a second. Never says what was asked for or answered.
 */
import { BoundedNotes, type Note } from '../base/bounded-notes.ts';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import { newRequestId } from './edge/request-id.ts';
import type { RequestRun } from './plan/request-run.ts';
import type { SlowRequest } from './plan/service-router-options.ts';

const notesPerSecondMax = 5;
/** Of a note; the slowest. */
const stepsShownMax = 8;
/** Kept, and for how long. */
const keptMax = 100;
const keptMs = 600_000;

/** A step of a request. Units: ms since the request began; `tookMs` null: not answered. */
export type SlowStep = {
  readonly node: string;
  readonly call: string;
  readonly atMs: number;
  readonly tookMs: number | null;
};

export type KeptRequest = {
  readonly endMs: number;
  readonly request: string;
  readonly trace: string | null;
  readonly method: string;
  readonly caller: string;
  readonly code: ErrorCode | null;
  readonly durationMs: number;
  readonly items: number;
  readonly waitedMs: number;
  readonly isShared: boolean;
  readonly steps: readonly SlowStep[];
};

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function stepsOf({ steps, startMs }: RequestRun): SlowStep[] {
  return steps.map(({ node, call, beginMs, endMs }) => ({
    node,
    call,
    atMs: rounded(beginMs - startMs),
    tookMs: endMs === 0 ? null : rounded(endMs - beginMs),
  }));
}

function stepsText(steps: readonly SlowStep[]): string {
  const slowest = steps.toSorted((a, b) => (b.tookMs ?? Infinity) - (a.tookMs ?? Infinity)).slice(0, stepsShownMax);
  const texts = slowest.map(
    ({ node, call, atMs, tookMs }) => `${node} ${call} at ${atMs} ${tookMs === null ? 'unanswered' : `took ${tookMs}`}`,
  );
  const left = steps.length - slowest.length;
  return `${texts.join('; ')}${left === 0 ? '' : `; ${left} shorter`}`;
}

/** Returns what is noted of a request; `stepsLeft` counts steps that were not kept. */
function fieldsOf(kept: KeptRequest, stepsLeft: number): Record<string, unknown> {
  const { request, trace, method, caller, code, items, waitedMs, isShared, steps } = kept;
  return {
    request,
    ...(trace === null ? {} : { trace }),
    ...(caller === '' ? {} : { caller }),
    ...(code === null ? {} : { code }),
    plan: method,
    items,
    ...(waitedMs === 0 ? {} : { waitedMs }),
    ...(isShared ? { shared: true } : {}),
    steps: steps.length === 0 ? 'none but here' : stepsText(steps),
    ...(stepsLeft === 0 ? {} : { stepsNotKept: stepsLeft }),
  };
}

export class SlowLog {
  readonly #clock: Clock;
  readonly #notes: BoundedNotes;
  #kept: KeptRequest[] = [];

  constructor(note: Note, clock: Clock) {
    this.#clock = clock;
    this.#notes = new BoundedNotes(note, 'slowNotNoted', notesPerSecondMax, clock);
  }

  /** The slowest of the last minutes, the slowest first. */
  get slowest(): readonly KeptRequest[] {
    const sinceMs = this.#clock.nowMs() - keptMs;
    this.#kept = this.#kept.filter(({ endMs }) => endMs >= sinceMs);
    return this.#kept;
  }

  add({ method, caller, code, durationMs, run }: SlowRequest): void {
    const kept: KeptRequest = {
      endMs: this.#clock.nowMs(),
      request: newRequestId(),
      trace: run.trace?.traceId ?? null,
      method,
      caller,
      code,
      durationMs: rounded(durationMs),
      items: run.items,
      waitedMs: rounded(run.waitedMs),
      isShared: run.isShared,
      steps: stepsOf(run),
    };
    this.#keep(kept);
    this.#notes.add(() => [`${method} took ${Math.round(durationMs)} ms`, fieldsOf(kept, run.left)]);
  }

  #keep(kept: KeptRequest): void {
    this.#kept = [...this.slowest, kept].sort((a, b) => b.durationMs - a.durationMs).slice(0, keptMax);
  }
}
