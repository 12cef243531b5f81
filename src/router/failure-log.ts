/**
 * Notes failed requests for operators, by the id that the caller got.
 *
 * Owns: which failures an operator must see, and how many a second: callers, of whom one may be
 * hostile, decide how many there are. Mistakes of callers are theirs to see.
 */
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { RequestFailure } from './plan/service-router-options.ts';

const notesPerSecondMax = 10;
const codesOfCallers: ReadonlySet<ErrorCode> = new Set([
  'InvalidArgument',
  'NotFound',
  'Unimplemented',
  'Unauthenticated',
  'PermissionDenied',
  'Canceled',
]);

export type Note = (message: string, fields: Record<string, unknown>) => void;

export class FailureLog {
  readonly #note: Note;
  readonly #bucket: TokenBucket;
  #left = 0;

  constructor(note: Note, clock: Clock) {
    this.#note = note;
    this.#bucket = new TokenBucket(notesPerSecondMax, clock);
  }

  add({ requestId, method, caller, error, trace }: RequestFailure): void {
    if (codesOfCallers.has(error.code)) return;
    if (!this.#bucket.tryTake()) {
      this.#left++;
      return;
    }
    const left = this.#left;
    this.#left = 0;
    this.#note(`${method} failed: ${error.code}: ${error.message}`, {
      request: requestId,
      ...(trace === null ? {} : { trace: trace.traceId }),
      ...(caller === '' ? {} : { caller }),
      ...(left === 0 ? {} : { failuresNotNoted: left }),
    });
  }
}
