/** Notes reads of a node that took long, by the trace that they are part of; a few a second. */
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { TraceContext } from '../wire/trace-context.ts';

const notesPerSecondMax = 5;

type Note = (message: string, fields: Record<string, unknown>) => void;

export class SlowCalls {
  readonly #note: Note;
  readonly #bucket: TokenBucket;
  #left = 0;

  constructor(note: Note, clock: Clock) {
    this.#note = note;
    this.#bucket = new TokenBucket(notesPerSecondMax, clock);
  }

  add(method: string, durationMs: number, code: ErrorCode | null, trace: TraceContext | null): void {
    if (!this.#bucket.tryTake()) {
      this.#left++;
      return;
    }
    const left = this.#left;
    this.#left = 0;
    this.#note(`the call ${method} took ${Math.round(durationMs)} ms`, {
      ...(trace === null ? {} : { trace: trace.traceId, parent: trace.parentId }),
      ...(code === null ? {} : { code }),
      ...(left === 0 ? {} : { slowNotNoted: left }),
    });
  }
}
