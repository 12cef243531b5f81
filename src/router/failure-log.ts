/**
 * Notes failed requests for operators, by the id that the caller got.
 *
 * Owns: which failures an operator must see, and how many a second: callers, of whom one may be
 * hostile, decide how many there are. Mistakes of callers are theirs to see.
 */
import { BoundedNotes, type Note } from '../base/bounded-notes.ts';
import type { Clock } from '../base/clock.ts';
import type { RequestFailure } from './plan/service-router-options.ts';
import { outcomeOf } from './request-outcome.ts';

const notesPerSecondMax = 10;

export class FailureLog {
  readonly #notes: BoundedNotes;

  constructor(note: Note, clock: Clock) {
    this.#notes = new BoundedNotes(note, 'failuresNotNoted', notesPerSecondMax, clock);
  }

  add({ requestId, method, caller, error, trace }: RequestFailure): void {
    if (outcomeOf(error.code) === 'caller') return;
    this.#notes.add(() => [
      `${method} failed: ${error.code}: ${error.message}`,
      {
        request: requestId,
        ...(trace === null ? {} : { trace: trace.traceId }),
        ...(caller === '' ? {} : { caller }),
      },
    ]);
  }
}
