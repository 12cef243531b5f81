/**
 * How far one source's stream has come: received, done, and durable as the cursor.
 *
 * Owns: the current run of sequence numbers, and the durable cursor, which passes an event only
 * when the log has acknowledged everything up to it. A stream that restarts below our cursor is a
 * new run, whose cursor is not stored while events of an earlier run are unfinished.
 */
import { reachCrashPoint } from '../base/crash-point.ts';
import { orAborted } from '../base/or-aborted.ts';
import { DoneTracker } from './done-tracker.ts';
import type { SourceCursors } from './state/source-cursors.ts';

/** How a seq relates to earlier ones. `restarted`: the stream starts again below our cursor. */
export type SeqOrder = 'ascending' | 'restarted' | 'out-of-order';

export class StreamPosition {
  readonly #name: string;
  readonly #cursors: SourceCursors;
  /** Null until the position is known: a live start takes it from the first event. */
  #run: DoneTracker | null = null;
  #formerRuns: DoneTracker[] = [];
  #durableSeq: number | null;
  #receivedWaiters: (() => void)[] = [];

  /** `startSeq` (exclusive) applies when no cursor of the source `name` is stored; null for now. */
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

  /** Classifies a seq. After `restarted`, the run that starts with it is current. */
  admit(seq: number, isFirstOfConnection: boolean): SeqOrder {
    const run = this.#run;
    if (run !== null && seq > run.received) return 'ascending';
    if (run !== null && (!isFirstOfConnection || seq === run.received)) return 'out-of-order';
    if (run !== null) this.#formerRuns.push(run);
    this.#run = new DoneTracker(seq - 1);
    return run === null ? 'ascending' : 'restarted';
  }

  /** Goes back to where everything is done: what follows is received again, and repeats nothing. */
  rewind(): void {
    if (this.#run !== null) this.#run = new DoneTracker(this.#run.done);
  }

  /**
   * Begins again after `seq` (exclusive), or for null at the next event.
   *
   * Returns: once no cursor from before is stored any more, but for one that waits for its events.
   */
  async beginAgain(seq: number | null): Promise<void> {
    if (this.#run !== null && this.#run.pendingCount > 0) this.#formerRuns.push(this.#run);
    this.#run = seq === null ? null : new DoneTracker(seq);
    if (seq !== null) return this.storeCursor(0);
    await this.#cursors.remove(this.#name);
    this.#durableSeq = null;
  }

  /** Marks an admitted seq as received. Returns the run in which to finish it. */
  begin(seq: number): DoneTracker {
    const run = this.#run!;
    run.begin(seq);
    if (this.#receivedWaiters.length > 0) for (const wake of this.#receivedWaiters.splice(0)) wake();
    return run;
  }

  /** Marks the next `count` numbers as received and done, as far as seqs go. */
  skip(count: number): void {
    if (this.#run === null) return;
    const seq = Math.min(this.#run.received + count, Number.MAX_SAFE_INTEGER);
    if (seq > this.#run.received) this.begin(seq).finish(seq);
  }

  /** Stores up to where everything is done. Returns: once durable. */
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
   * Waits until everything up to `seq` (inclusive; null for all received so far) is durable in the
   * log.
   *
   * Returns: false when the signal aborted first.
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
