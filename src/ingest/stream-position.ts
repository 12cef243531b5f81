/**
 * How far one source's stream is: received, done, and on disk as the cursor.
 *
 * Owns: the run of sequence numbers that is followed, and the durable cursor, which passes an event
 * only when the log has acknowledged everything up to it. A stream that begins again below our
 * cursor is a run of its own, whose cursor is not stored while events of an earlier run are under
 * way.
 */
import { reachCrashPoint } from '../base/crash-point.ts';
import { DoneTracker } from './done-tracker.ts';
import { orAborted } from './or-aborted.ts';
import type { SourceCursors } from './state/source-cursors.ts';

/** How a seq relates to those before it. `restarted`: the stream begins again below our cursor. */
export type SeqOrder = 'ascending' | 'restarted' | 'out-of-order';

export class StreamPosition {
  readonly #name: string;
  readonly #cursors: SourceCursors;
  /** Null until the position is known: a live start learns it from the first event. */
  #run: DoneTracker | null = null;
  #formerRuns: DoneTracker[] = [];
  #durableSeq: number | null;
  #receivedWaiters: (() => void)[] = [];

  /** `startSeq` (exclusive) holds when no cursor of the source `name` is stored; null for now. */
  constructor(name: string, cursors: SourceCursors, startSeq: number | null) {
    this.#name = name;
    this.#cursors = cursors;
    this.#durableSeq = cursors.get(name)?.seq ?? null;
    const seq = this.#durableSeq ?? startSeq;
    if (seq !== null) this.#run = new DoneTracker(seq);
  }

  /** Highest seq received; inclusive, null before the first event. So are the next two. */
  get receivedSeq(): number | null {
    return this.#run?.received ?? null;
  }

  get doneSeq(): number | null {
    return this.#run?.done ?? null;
  }

  get durableSeq(): number | null {
    return this.#durableSeq;
  }

  get pendingCount(): number {
    return this.#run?.pendingCount ?? 0;
  }

  /** Says where a seq belongs. After `restarted` the run that begins with it is followed. */
  admit(seq: number, isFirstOfConnection: boolean): SeqOrder {
    const run = this.#run;
    if (run !== null && seq > run.received) return 'ascending';
    if (run !== null && (!isFirstOfConnection || seq === run.received)) return 'out-of-order';
    if (run !== null) this.#formerRuns.push(run);
    this.#run = new DoneTracker(seq - 1);
    return run === null ? 'ascending' : 'restarted';
  }

  /** Takes an admitted seq as received. Returns the run in which it is to be finished. */
  begin(seq: number): DoneTracker {
    const run = this.#run!;
    run.begin(seq);
    if (this.#receivedWaiters.length > 0) for (const wake of this.#receivedWaiters.splice(0)) wake();
    return run;
  }

  /** Takes the next `count` numbers as received and done. */
  skip(count: number): void {
    if (this.#run === null) return;
    const seq = this.#run.received + count;
    this.begin(seq).finish(seq);
  }

  /** Stores how far everything is durable. Returns: once that is on disk. */
  async storeCursor(timeMs: number): Promise<void> {
    this.#formerRuns = this.#formerRuns.filter(({ pendingCount }) => pendingCount > 0);
    const seq = this.doneSeq;
    if (seq === null || seq === this.#durableSeq || this.#formerRuns.length > 0) return;
    reachCrashPoint('cursor-before-store');
    await this.#cursors.store(this.#name, { seq, timeMs });
    reachCrashPoint('cursor-after-store');
    this.#durableSeq = seq;
  }

  /**
   * Waits until everything up to `seq` (inclusive; null for all that has come in) is durable in the
   * log.
   *
   * Returns: whether it is; false when the signal aborted first.
   */
  async waitDurable(seq: number | null, signal: AbortSignal): Promise<boolean> {
    while (seq !== null && (this.receivedSeq ?? -1) < seq) {
      if (signal.aborted) return false;
      const next = Promise.withResolvers<void>();
      this.#receivedWaiters.push(next.resolve);
      await orAborted(next.promise, signal);
    }
    const run = this.#run;
    return run === null || run.waitDone(seq ?? run.received, signal);
  }
}
