/**
 * Batches the writes of ingest's state into synchronous transactions, durable on return.
 *
 * Owns: when commits happen. A commit waits for the disk on the thread that also reads the sources,
 * so the queue rests nine times as long as each commit took: commits take at most a tenth of the
 * thread, and writes that arrive meanwhile form the next batch.
 */
import { type Clock, systemClock } from '../../base/clock.ts';
import { reachCrashPoint } from '../../base/crash-point.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Environment } from '../../storage/environment.ts';

type Write = {
  /** Runs inside the transaction. Returns what to call once it is durable. */
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
};

const restPerCommit = 9;

export class CommitQueue {
  readonly #environment: Environment;
  /** Reloads from disk what is also held in memory. */
  readonly #reload: () => void;
  readonly #clock: Clock;
  #writes: Write[] = [];
  #timer: NodeJS.Timeout | undefined;
  #restUntilMs = 0;
  #isClosed = false;

  constructor(environment: Environment, reload: () => void, clock: Clock = systemClock) {
    this.#environment = environment;
    this.#reload = reload;
    this.#clock = clock;
  }

  /**
   * Runs `work` in the next transaction, after all earlier writes.
   *
   * Returns: the result of `work`, once durable.
   * Errors: DataPlaneError `StorageFull` without room, `Unavailable` after `close`; then nothing of
   * the whole batch is on disk or in memory.
   */
  write<Result>(work: () => Result): Promise<Result> {
    if (this.#isClosed) return Promise.reject(new DataPlaneError('Unavailable', 'the state of ingest is closed'));
    return new Promise((resolve, reject) => {
      const run = (): (() => void) => {
        const result = work();
        return () => resolve(result);
      };
      this.#writes.push({ run, reject });
      this.#timer ??= setTimeout(() => this.#commit(), Math.max(0, this.#restUntilMs - this.#clock.monotonicMs()));
    });
  }

  #commit(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const writes = this.#writes.splice(0);
    if (writes.length === 0) return;
    const startMs = this.#clock.monotonicMs();
    try {
      this.#environment.requireRoom();
      const resolves = this.#environment.transact(() => {
        const done = writes.map(({ run }) => run());
        reachCrashPoint('state-before-commit');
        return done;
      });
      for (const resolve of resolves) resolve();
    } catch (thrown) {
      this.#reload();
      for (const { reject } of writes) reject(thrown);
    }
    const endMs = this.#clock.monotonicMs();
    this.#restUntilMs = endMs + restPerCommit * (endMs - startMs);
  }

  /** Commits what is queued, and accepts no more. */
  close(): void {
    this.#commit();
    this.#isClosed = true;
  }
}
