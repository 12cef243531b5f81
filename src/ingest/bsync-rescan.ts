/**
 * Appends once more what came of some actors from one stream of bsync, beside the stream itself.
 *
 * The stream leaves these actors out meanwhile, so that no older operation of theirs follows a
 * newer one: the scan goes on to wherever the stream is by then. A page that fails is asked for
 * again.
 */
import { type BackoffPolicy, backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { type BsyncPages, pageOperationsMax } from './bsync-pages.ts';
import type { BsyncWriter } from './bsync-writer.ts';
import type { RescanPositions } from './rescan-positions.ts';

/** What is read again: of whom, and how far it has been. */
export type RescanRequest = {
  readonly isWanted: (did: string) => boolean;
  readonly positions: RescanPositions;
  /** Ends it; what was reached stays. */
  readonly signal: AbortSignal;
};

/** The stream that leaves the wanted actors out. */
export interface ScannedStream {
  /** Its last operation that is durable in the log. */
  readonly cursor: number;
  /** Takes the actors in again, if it has nothing newer of them. Returns: whether it does. */
  tryEnd(rescan: BsyncRescan): boolean;
  /** Waits until the stream, or a scan beside it, has moved. */
  moved(signal: AbortSignal): Promise<void>;
  /** Wakes who waits for that. */
  wake(): void;
}

export type BsyncRescanOptions = {
  readonly name: string;
  readonly request: RescanRequest;
  readonly pages: BsyncPages;
  readonly writer: BsyncWriter;
  readonly stream: ScannedStream;
  readonly clock: Clock;
  readonly random: SeededRandom;
};

export const bsyncRetryPolicy: BackoffPolicy = { firstMs: 100, maxMs: 30_000 };

export class BsyncRescan {
  readonly #options: BsyncRescanOptions;
  #from: number;
  #failures = 0;

  constructor(options: BsyncRescanOptions) {
    this.#options = options;
    this.#from = options.request.positions.of(options.name);
  }

  /** What came up to it (inclusive) is durable in the log once more. */
  get from(): number {
    return this.#from;
  }

  /** Why its last page could not be read, or null. */
  get problem(): string | null {
    return this.#options.pages.problem;
  }

  isWanted(did: string): boolean {
    return this.#options.request.isWanted(did);
  }

  /** Whether a page is likely to be its last, if the stream waits for it. */
  get isNearEnd(): boolean {
    return this.#failures === 0 && this.#options.stream.cursor - this.#from <= pageOperationsMax;
  }

  /** Reads until it has what the stream has, or the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { stream, clock, random, name, request } = this.#options;
    request.positions.expect(name, stream.cursor);
    while (!signal.aborted && !stream.tryEnd(this)) {
      if (this.#from >= stream.cursor) {
        await stream.moved(signal);
        continue;
      }
      const isRead = await this.#step(signal).catch((thrown: unknown) => {
        this.#options.pages.fail(operatingFailure(thrown).message);
        return false;
      });
      this.#failures = isRead ? 0 : this.#failures + 1;
      stream.wake();
      if (!isRead) await clock.sleep(backoffMs(bsyncRetryPolicy, this.#failures, random), signal);
    }
    if (!signal.aborted) await request.positions.finish(name);
  }

  /** Returns false when a page could not be read. */
  async #step(signal: AbortSignal): Promise<boolean> {
    const { pages, writer, stream, name, request } = this.#options;
    const page = await pages.read(this.#from, signal);
    if (page === 'smaller') return true;
    if (page === 'failed') return false;
    const until = stream.cursor;
    const items = page.items.filter(({ id }) => id > this.#from && id <= until);
    await writer.append(items, request.isWanted, true);
    if (page.upTo !== null && page.upTo <= this.#from) {
      pages.fail('operations that are old');
      return false;
    }
    if (page.upTo === null && !page.isEmpty) {
      pages.fail('operations without an id');
      return false;
    }
    // After the last one that is there, what the stream has come to was deleted from bsync.
    this.#from = page.upTo === null ? until : Math.min(page.upTo, until);
    await request.positions.reach(name, this.#from, until);
    return true;
  }
}
