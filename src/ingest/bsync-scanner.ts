/**
 * Follows one stream of bsync, page after page, into the log.
 *
 * Owns: the stream's cursor, which is the id of its last operation that is durable in the log. An
 * operation at or below it is dropped as replayed, wherever it comes from; only the operator moves
 * the cursor back. Actors that are being scanned again for a repair are left out until that is
 * over.
 */
import { backoffMs, isSaidAgain } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { BsyncClient, BsyncStream } from './bsync-client.ts';
import { type BsyncPage, BsyncPages, type OversizedOperations } from './bsync-pages.ts';
import { BsyncRescan, bsyncRetryPolicy, type RescanRequest, type ScannedStream } from './bsync-rescan.ts';
import { BsyncWriter } from './bsync-writer.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { Erasures } from './state/erasures.ts';
import { bsyncCursorName, type SourceCursors } from './state/source-cursors.ts';

export type BsyncScannerOptions = {
  readonly stream: BsyncStream;
  readonly client: BsyncClient;
  readonly cursors: SourceCursors;
  readonly erasures: Pick<Erasures, 'isErased' | 'otherStream' | 'carryOver'>;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: Pick<IngestCounters, 'bsyncOperations' | 'bsyncDropped' | 'bsyncScans'>;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** bsync itself waits when there is nothing; one that does not is asked no more often than this. */
const emptyPollMsMin = 1_000;

function unclearIds(other: string, stream: BsyncStream): string {
  const command = `skyshard source begin bsync:${stream}`;
  return `private data was erased by ids of "${other}": \`${command} --cursor <its cursor>\` if this bsync has the same ids, \`${command}\` if they are new`;
}

export class BsyncScanner {
  readonly #options: BsyncScannerOptions;
  readonly #name: string;
  readonly #pages: BsyncPages;
  readonly #writer: BsyncWriter;
  readonly #rescans = new Set<BsyncRescan>();
  #cursor: number;
  /** Another bsync by whose ids something was erased: the operator is to say what they are here. */
  #erasedBy: string | null = null;
  /** True for the same stream of any bsync. */
  readonly #isAlike = (name: string): boolean => name.endsWith(` ${this.#options.stream}`);
  #isApplying = false;
  #waiters: (() => void)[] = [];
  /** What is done while no page is on its way to the log. */
  readonly #betweenPages: (() => Promise<void>)[] = [];
  /** Ends the scan, or the pause, that is under way. */
  #poll = new AbortController();

  constructor(options: BsyncScannerOptions) {
    this.#options = options;
    const { stream, client, cursors, erasures } = options;
    this.#name = bsyncCursorName(client.url, stream);
    this.#pages = new BsyncPages(options);
    this.#writer = new BsyncWriter({ ...options, name: this.#name });
    const cursor = cursors.get(this.#name);
    this.#cursor = cursor?.seq ?? 0;
    if (cursor === undefined) this.#erasedBy = erasures.otherStream(this.#name, this.#isAlike) ?? null;
  }

  /** The last operation that is durable in the log; 0 before the first. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Why the last scan failed, or null. */
  get problem(): string | null {
    return [this.#pages, ...this.#rescans].find(({ problem }) => problem !== null)?.problem ?? null;
  }

  get oversized(): OversizedOperations | null {
    return this.#pages.oversized;
  }

  /** Follows the stream until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      const startMs = clock.monotonicMs();
      this.#poll = new AbortController();
      const stop = AbortSignal.any([signal, this.#poll.signal]);
      const result = await this.#step(stop).catch((thrown: unknown) =>
        this.#pages.fail(operatingFailure(thrown).message),
      );
      if (signal.aborted) return;
      failures = result === 'failed' ? failures + 1 : 0;
      if (result === 'failed' && isSaidAgain(failures)) this.#sayProblem();
      if (result === 'failed') await clock.sleep(backoffMs(bsyncRetryPolicy, failures, random), stop);
      const restMs = emptyPollMsMin - (clock.monotonicMs() - startMs);
      if (result === 'empty' && restMs > 0) await clock.sleep(restMs, stop);
    }
  }

  /**
   * Waits until operations up to `cursor` are durable in the log; for null until those that have
   * come are.
   *
   * Returns: false when the signal aborted first.
   */
  async waitFor(cursor: number | null, signal: AbortSignal): Promise<boolean> {
    const target = cursor ?? this.#cursor;
    const isLate = (): boolean =>
      (cursor === null && this.#isApplying) ||
      this.#cursor < target ||
      [...this.#rescans].some(({ from }) => from < target);
    while (isLate()) {
      if (signal.aborted) return false;
      await this.#moved(signal);
    }
    return true;
  }

  /** Appends all that came of some actors once more. Returns: once durable, or aborted. */
  async rescan(request: RescanRequest, signal: AbortSignal): Promise<void> {
    if (request.positions.isDone(this.#name)) return;
    while (this.#erasedBy !== null && !signal.aborted) await this.#moved(signal);
    const rescan = new BsyncRescan({
      ...this.#options,
      name: this.#name,
      request,
      pages: new BsyncPages(this.#options),
      writer: this.#writer,
      stream: this.#scannedStream(),
    });
    this.#rescans.add(rescan);
    // What is on its way to the log may wait for a node.
    await orAborted(rescan.run(signal), signal).finally(() => this.#rescans.delete(rescan));
  }

  #scannedStream(): ScannedStream {
    const cursorOf = (): number => this.#cursor;
    return {
      get cursor(): number {
        return cursorOf();
      },
      tryEnd: (rescan: BsyncRescan): boolean => {
        // A page that is being applied has left its actors out.
        if (this.#isApplying || rescan.from < this.#cursor) return false;
        this.#rescans.delete(rescan);
        this.#wake();
        return true;
      },
      moved: (signal: AbortSignal): Promise<void> => this.#moved(signal),
      wake: (): void => this.#wake(),
    };
  }

  /** Goes on after another operation, as the operator says. Returns: once that is durable. */
  beginAgain(cursor: number): Promise<void> {
    return this.runBetweenPages(async () => {
      // One that is not read from its beginning has the ids of the other.
      if (this.#erasedBy !== null && cursor > 0) await this.#options.erasures.carryOver(this.#name, this.#isAlike);
      await this.#store(cursor);
      this.#erasedBy = null;
      this.#wake();
    });
  }

  /** Does `work` while nothing of the stream after its cursor is on its way to the log. */
  runBetweenPages<Result>(work: (cursor: number) => Promise<Result>): Promise<Result> {
    const done = Promise.withResolvers<Result>();
    this.#betweenPages.push(() => work(this.#cursor).then(done.resolve, done.reject));
    this.#poll.abort();
    return done.promise;
  }

  async #step(signal: AbortSignal): Promise<'advanced' | 'empty' | 'failed'> {
    const [work] = this.#betweenPages;
    if (work !== undefined) {
      await work();
      this.#betweenPages.shift();
      return 'advanced';
    }
    if (this.#erasedBy !== null) return this.#pages.fail(unclearIds(this.#erasedBy, this.#options.stream));
    const page = await this.#pages.read(this.#cursor, signal);
    // What is to be done between pages comes first.
    if (signal.aborted) return 'advanced';
    if (page === 'smaller') return 'advanced';
    return page === 'failed' ? page : this.#take(page, signal);
  }

  async #take({ items, upTo, isEmpty }: BsyncPage, signal: AbortSignal): Promise<'advanced' | 'empty' | 'failed'> {
    const newer = items.filter(({ id }) => id > this.#cursor);
    this.#writer.drop('replayed', items.length - newer.length);
    if (upTo === null || upTo <= this.#cursor)
      return isEmpty ? 'empty' : this.#pages.fail('operations that are old or have no id');
    await this.#letRescansEnd(signal);
    this.#isApplying = true;
    try {
      const rescans = [...this.#rescans];
      await this.#writer.append(newer, (did) => !rescans.some((rescan) => rescan.isWanted(did)), false);
      await this.#store(upTo);
    } finally {
      this.#isApplying = false;
      this.#wake();
    }
    return 'advanced';
  }

  /** A scan that needs one more page would find that there is another, page after page. */
  async #letRescansEnd(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && [...this.#rescans].some(({ isNearEnd }) => isNearEnd)) await this.#moved(signal);
  }

  async #store(seq: number): Promise<void> {
    reachCrashPoint('cursor-before-store');
    await this.#options.cursors.store(this.#name, { seq, timeMs: this.#options.clock.nowMs() });
    reachCrashPoint('cursor-after-store');
    this.#cursor = seq;
  }

  async #moved(signal: AbortSignal): Promise<void> {
    const next = Promise.withResolvers<void>();
    this.#waiters.push(next.resolve);
    await orAborted(next.promise, signal);
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #sayProblem(): void {
    const { stream, note } = this.#options;
    note(`scanning bsync fails and is tried again: ${this.#pages.problem}`, { stream });
  }
}
