/** Notes reads of a node that took long, by the trace that they are part of; a few a second. */
import { BoundedNotes, type Note } from '../base/bounded-notes.ts';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { TraceContext } from '../wire/trace-context.ts';

const notesPerSecondMax = 5;

export class SlowCalls {
  readonly #notes: BoundedNotes;

  constructor(note: Note, clock: Clock) {
    this.#notes = new BoundedNotes(note, 'slowNotNoted', notesPerSecondMax, clock);
  }

  add(method: string, durationMs: number, code: ErrorCode | null, trace: TraceContext | null): void {
    this.#notes.add(() => [
      `the call ${method} took ${Math.round(durationMs)} ms`,
      {
        ...(trace === null ? {} : { trace: trace.traceId, parent: trace.parentId }),
        ...(code === null ? {} : { code }),
      },
    ]);
  }
}
