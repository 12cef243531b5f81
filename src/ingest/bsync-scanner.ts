/**
 * Follows one stream of bsync, page after page, into the log.
 *
 * Owns: the stream's cursor, which is the id of its last operation that is durable in the log. An
 * operation at or below it is dropped as replayed, wherever it comes from; only the operator moves
 * the cursor back. While operations are scanned again for a repair, the stream itself waits, so
 * that no older operation of an actor follows a newer one.
 */
import { type BackoffPolicy, backoffMs, isSaidAgain } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { passOthersRefusal, refusalOf } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { BsyncClient, BsyncStream } from './bsync-client.ts';
import { type DropReason, idOf, understand } from './bsync-operation.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { SourceCursors } from './state/source-cursors.ts';

export type BsyncScannerOptions = {
  readonly stream: BsyncStream;
  readonly client: BsyncClient;
  readonly cursors: SourceCursors;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: Pick<IngestCounters, 'bsyncOperations' | 'bsyncDropped' | 'bsyncScans'>;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Operations asked for at once; fewer after an answer that was too large. */
const pageOperationsMax = 500;
/** bsync itself waits when there is nothing; one that does not is asked no more often than this. */
const emptyPollMsMin = 1_000;
const retryPolicy: BackoffPolicy = { firstMs: 100, maxMs: 30_000 };

/** One operation of a page. */
type Item = { readonly id: number; readonly operation: unknown };
type Page = { readonly items: readonly Item[]; readonly isEmpty: boolean };
type Rescan = { readonly isWanted: (did: string) => boolean; readonly done: () => void };

export class BsyncScanner {
  readonly #options: BsyncScannerOptions;
  readonly #name: string;
  #cursor: number;
  #limit = pageOperationsMax;
  #problem: string | null = null;
  #isApplying = false;
  #waiters: (() => void)[] = [];
  readonly #rescans: Rescan[] = [];
  #begin: { readonly cursor: number; readonly done: () => void } | null = null;
  #poll = new AbortController();

  constructor(options: BsyncScannerOptions) {
    this.#options = options;
    this.#name = `bsync ${options.client.url} ${options.stream}`;
    this.#cursor = options.cursors.get(this.#name)?.seq ?? 0;
  }

  /** The last operation that is durable in the log; 0 before the first. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Why the last scan failed, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Follows the stream until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      const startMs = clock.monotonicMs();
      const result = await this.#step(signal).catch((thrown: unknown) =>
        this.#failed(operatingFailure(thrown).message),
      );
      if (signal.aborted) return;
      failures = result === 'failed' ? failures + 1 : 0;
      if (result === 'failed' && isSaidAgain(failures)) this.#sayProblem();
      if (result === 'failed') await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
      const restMs = emptyPollMsMin - (clock.monotonicMs() - startMs);
      if (result === 'empty' && restMs > 0 && this.#rescans.length === 0 && this.#begin === null)
        await clock.sleep(restMs, signal);
    }
  }

  /**
   * Waits until operations up to `cursor` are durable in the log; for null until those that have
   * come are.
   *
   * Returns: false when the signal aborted first.
   */
  async waitFor(cursor: number | null, signal: AbortSignal): Promise<boolean> {
    while (cursor === null ? this.#isApplying : this.#cursor < cursor) {
      if (signal.aborted) return false;
      const next = Promise.withResolvers<void>();
      this.#waiters.push(next.resolve);
      await orAborted(next.promise, signal);
    }
    return true;
  }

  /** Appends all that came of some actors once more, from the beginning. Returns: once durable. */
  async rescan(isWanted: (did: string) => boolean, signal: AbortSignal): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#rescans.push({ isWanted, done: done.resolve });
    this.#poll.abort();
    await orAborted(done.promise, signal);
  }

  /** Goes on after another operation, as the operator says. Returns: once that is durable. */
  async beginAgain(cursor: number, signal: AbortSignal): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#begin = { cursor, done: done.resolve };
    this.#poll.abort();
    await orAborted(done.promise, signal);
  }

  async #step(signal: AbortSignal): Promise<'advanced' | 'empty' | 'failed'> {
    if (this.#begin !== null) {
      const { cursor, done } = this.#begin;
      await this.#store(cursor);
      this.#begin = null;
      done();
      return 'advanced';
    }
    const [rescan] = this.#rescans;
    if (rescan !== undefined) {
      if (!(await this.#rescanAll(rescan, signal))) return 'failed';
      this.#rescans.shift();
      rescan.done();
      return 'advanced';
    }
    this.#poll = new AbortController();
    const page = await this.#page(this.#cursor, AbortSignal.any([signal, this.#poll.signal]));
    if (page === null) return this.#poll.signal.aborted ? 'empty' : 'failed';
    const items = page.items.filter(({ id }) => id > this.#cursor);
    this.#drop('replayed', page.items.length - items.length);
    const last = items.at(-1);
    if (last === undefined) return page.isEmpty ? 'empty' : this.#failed('operations that are old or have no id');
    this.#isApplying = true;
    try {
      await this.#append(items, () => true, true);
      await this.#store(last.id);
    } finally {
      this.#isApplying = false;
      for (const wake of this.#waiters.splice(0)) wake();
    }
    return 'advanced';
  }

  async #store(seq: number): Promise<void> {
    reachCrashPoint('cursor-before-store');
    await this.#options.cursors.store(this.#name, { seq, timeMs: this.#options.clock.nowMs() });
    reachCrashPoint('cursor-after-store');
    this.#cursor = seq;
  }

  /** Returns false when a scan failed, to be begun again. */
  async #rescanAll({ isWanted }: Rescan, signal: AbortSignal): Promise<boolean> {
    for (let from = 0; from < this.#cursor; ) {
      const page = await this.#page(from, signal);
      if (page === null) return false;
      const items = page.items.filter(({ id }) => id > from && id <= this.#cursor);
      const last = items.at(-1);
      // What follows was deleted from bsync, or came after the stream's own cursor.
      if (last === undefined) return true;
      await this.#append(items, isWanted, false);
      from = last.id;
    }
    return true;
  }

  /** Returns a page in the order of its ids, or null when the scan failed. */
  async #page(cursor: number, signal: AbortSignal): Promise<Page | null> {
    const { appender, client, stream, counters } = this.#options;
    if (!appender.hasCapacity) await orAborted(appender.waitForCapacity(), signal);
    const answer = await client.scan(stream, cursor, this.#limit, signal);
    if (signal.aborted) return null;
    counters.bsyncScans.with(stream, answer.ok ? 'answered' : answer.reason).add();
    if (!answer.ok) {
      if (answer.reason === 'too-large') this.#limit = Math.max(1, this.#limit >> 1);
      this.#failed(answer.message);
      return null;
    }
    this.#problem = null;
    this.#limit = pageOperationsMax;
    return this.#pageOf(answer.operations);
  }

  /** Ids that do not ascend are dropped with those that are none. */
  #pageOf(operations: readonly unknown[]): Page {
    const items: Item[] = [];
    for (const operation of operations.slice(0, pageOperationsMax)) {
      const id = idOf(operation);
      if (id !== undefined && id > (items.at(-1)?.id ?? 0)) items.push({ id, operation });
      else this.#drop('id-malformed', 1);
    }
    return { items, isEmpty: operations.length === 0 };
  }

  /** Appends the writes of a page's operations in order. Returns: once all are durable. */
  async #append(items: readonly Item[], isWanted: (did: string) => boolean, isCounted: boolean): Promise<void> {
    const { stream, counters } = this.#options;
    const appends: Promise<void>[] = [];
    for (const { operation } of items) {
      const understood = understand(stream, operation);
      if (!understood.ok) {
        if (isCounted) this.#drop(understood.reason, 1);
        continue;
      }
      const { did, writes } = understood;
      if (!isWanted(did)) continue;
      if (isCounted) counters.bsyncOperations.with(stream).add();
      for (const write of writes) appends.push(this.#appendOne(did, { kind: 'private', did, write }));
    }
    await Promise.all(appends);
  }

  async #appendOne(did: string, entry: Parameters<LogAppender['append']>[1]): Promise<void> {
    try {
      await this.#options.appender.append(did, entry);
    } catch (thrown) {
      if (refusalOf(thrown, did) !== null) return this.#drop('refused', 1);
      passOthersRefusal(thrown, did);
    }
  }

  #drop(reason: DropReason | 'replayed' | 'id-malformed' | 'refused', count: number): void {
    if (count > 0) this.#options.counters.bsyncDropped.with(this.#options.stream, reason).add(count);
  }

  #failed(problem: string): 'failed' {
    this.#problem = problem;
    return 'failed';
  }

  #sayProblem(): void {
    const { stream, note } = this.#options;
    note(`scanning bsync fails and is tried again: ${this.#problem}`, { stream });
  }
}
