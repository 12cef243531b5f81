/**
 * Reads the pages of one stream of bsync.
 *
 * Owns: how many operations are asked for at once, which an answer that is too large or late halves
 * and any other doubles, and the operations that no answer can hold. Refuses: ids that do not
 * ascend.
 */
import { orAborted } from '../base/or-aborted.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { BsyncClient, BsyncStream } from './bsync-client.ts';
import { idOf } from './bsync-operation.ts';
import type { IngestCounters } from './ingest-counters.ts';

export type BsyncPagesOptions = {
  readonly stream: BsyncStream;
  readonly client: Pick<BsyncClient, 'scan'>;
  readonly appender: Pick<LogAppender, 'hasCapacity' | 'waitForCapacity'>;
  readonly counters: Pick<IngestCounters, 'bsyncDropped' | 'bsyncScans'>;
};

/** One operation of a page. */
export type BsyncItem = { readonly id: number; readonly operation: unknown };

/**
 * A page in the order of its ids. `upTo` is the last id that it covers, or null when it has none;
 * `isEmpty`: bsync has nothing after the cursor.
 */
export type BsyncPage = {
  readonly items: readonly BsyncItem[];
  readonly upTo: number | null;
  readonly isEmpty: boolean;
};

/** `smaller`: fewer operations are asked for next, at once. */
export type BsyncRead = BsyncPage | 'smaller' | 'failed';

/** The operations that were left out because no answer can hold them. */
export type OversizedOperations = { readonly count: number; readonly lastId: number };

/** Operations asked for at once; fewer after an answer that was too large or late. */
export const pageOperationsMax = 500;

export class BsyncPages {
  readonly #options: BsyncPagesOptions;
  #limit = pageOperationsMax;
  #problem: string | null = null;
  #oversized: OversizedOperations | null = null;

  constructor(options: BsyncPagesOptions) {
    this.#options = options;
  }

  /** Why the last scan failed, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Null when there was none. */
  get oversized(): OversizedOperations | null {
    return this.#oversized;
  }

  /** Reads what follows `cursor`. Never throws because of what bsync does. */
  async read(cursor: number, signal: AbortSignal): Promise<BsyncRead> {
    const { appender, client, stream, counters } = this.#options;
    if (!appender.hasCapacity) await orAborted(appender.waitForCapacity(), signal);
    const answer = await client.scan(stream, cursor, this.#limit, signal);
    if (signal.aborted) return 'failed';
    counters.bsyncScans.with(stream, answer.ok ? 'answered' : answer.reason).add();
    if (answer.ok) {
      this.#problem = null;
      this.#limit = Math.min(pageOperationsMax, this.#limit * 2);
      return this.#pageOf(answer.operations);
    }
    if (answer.reason === 'too-large') {
      if (this.#limit > 1) {
        this.#limit >>= 1;
        return 'smaller';
      }
      if (answer.onlyId !== null && answer.onlyId > cursor) return this.#skip(answer.onlyId);
    }
    // It may be the size that takes so long.
    if (answer.reason === 'deadline') this.#limit = Math.max(1, this.#limit >> 1);
    return this.fail(answer.message);
  }

  /** Notes why what was read is of no use. */
  fail(problem: string): 'failed' {
    this.#problem = problem;
    return 'failed';
  }

  #skip(id: number): BsyncPage {
    this.#drop('operation-too-large');
    this.#problem = null;
    this.#oversized = { count: (this.#oversized?.count ?? 0) + 1, lastId: id };
    return { items: [], upTo: id, isEmpty: false };
  }

  /** Ids that do not ascend are dropped with those that are none. */
  #pageOf(operations: readonly unknown[]): BsyncPage {
    const items: BsyncItem[] = [];
    for (const operation of operations.slice(0, pageOperationsMax)) {
      const id = idOf(operation);
      if (id !== undefined && id > (items.at(-1)?.id ?? 0)) items.push({ id, operation });
      else this.#drop('id-malformed');
    }
    return { items, upTo: items.at(-1)?.id ?? null, isEmpty: operations.length === 0 };
  }

  #drop(reason: 'id-malformed' | 'operation-too-large'): void {
    this.#options.counters.bsyncDropped.with(this.#options.stream, reason).add();
  }
}
