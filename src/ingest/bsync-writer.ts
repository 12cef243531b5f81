/** Appends what the operations of one stream of bsync mean, and counts what they do not. */
import { passOthersRefusal, refusalOf } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { BsyncStream } from './bsync-client.ts';
import { type DropReason, understand } from './bsync-operation.ts';
import type { BsyncItem } from './bsync-pages.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { Erasures } from './state/erasures.ts';

export type BsyncWriterOptions = {
  readonly stream: BsyncStream;
  /** Of the stream's cursor. */
  readonly name: string;
  readonly appender: Pick<LogAppender, 'append'>;
  readonly erasures: Pick<Erasures, 'isErased'>;
  readonly counters: Pick<IngestCounters, 'bsyncOperations' | 'bsyncDropped'>;
};

export class BsyncWriter {
  readonly #options: BsyncWriterOptions;

  constructor(options: BsyncWriterOptions) {
    this.#options = options;
  }

  /**
   * Appends the writes of operations in order, but for actors that are not wanted.
   *
   * Returns: once all are durable. `isAgain`: they were counted when they came first.
   */
  async append(items: readonly BsyncItem[], isWanted: (did: string) => boolean, isAgain: boolean): Promise<void> {
    const { stream, name, counters, erasures } = this.#options;
    const appends: Promise<void>[] = [];
    for (const { id, operation } of items) {
      const understood = understand(stream, operation);
      if (!understood.ok) {
        if (!isAgain) this.drop(understood.reason, 1);
        continue;
      }
      const { did, writes } = understood;
      if (!isAgain) counters.bsyncOperations.with(stream).add();
      if (!isWanted(did)) continue;
      for (const write of writes) {
        if (erasures.isErased(did, write, name, id)) this.drop('erased', 1);
        else appends.push(this.#appendOne(did, { kind: 'private', did, write }));
      }
    }
    await Promise.all(appends);
  }

  async #appendOne(did: string, entry: Parameters<LogAppender['append']>[1]): Promise<void> {
    try {
      await this.#options.appender.append(did, entry);
    } catch (thrown) {
      if (refusalOf(thrown, did) !== null) return this.drop('refused', 1);
      passOthersRefusal(thrown, did);
    }
  }

  drop(reason: DropReason | 'replayed' | 'refused' | 'erased', count: number): void {
    if (count > 0) this.#options.counters.bsyncDropped.with(this.#options.stream, reason).add(count);
  }
}
