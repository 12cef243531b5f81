/**
 * Files of slots that the node gives up, which stay open until all reads that had begun have ended.
 *
 * Owns: that no serving thread is the last to close them. Whoever is takes all their pages out of
 * memory, for a slot of gigabytes a good part of a second, and answers nothing meanwhile.
 */
import { slotPath } from './data-folder.ts';
import { type FromLeftThread, type LeftTask, leftOrders } from './left-task.ts';
import { lastReadMsMax } from './slot-reader.ts';
import { SpareThreads } from './spare-threads.ts';

export type LeftFilesOptions = { readonly dataDir: string; readonly slotMapBytes: number };

/** Longer than any other thread has them open, though its time begins later than this one's. */
const keepMs = lastReadMsMax + 10_000;
/** Each keeps a thread; of what is given up beyond that, the last reader closes the files. */
const keptAtOnceMax = 4;

export class LeftFiles implements AsyncDisposable {
  readonly #options: LeftFilesOptions;
  readonly #threads = new SpareThreads<LeftTask, FromLeftThread>(
    new URL('./left-thread.ts', import.meta.url),
    'skyshard-left',
  );
  /** By the order that ends it. */
  readonly #kept = new Map<Int32Array, Promise<void>>();

  constructor(options: LeftFilesOptions) {
    this.#options = options;
  }

  /** Keeps slots open that are still in their places. Returns once others may close them. */
  async keep(slots: readonly number[]): Promise<void> {
    if (this.#kept.size >= keptAtOnceMax) return;
    const { dataDir, slotMapBytes: mapBytes } = this.#options;
    const paths = slots.map((slot) => slotPath(dataDir, slot));
    const order = new Int32Array(new SharedArrayBuffer(4));
    const [opened, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.#kept.set(order, ended.promise);
    this.#threads.begin(
      { paths, mapBytes, order, keepMs },
      {
        onMessage: () => opened.resolve(),
        // One that cannot be opened is closed by its last reader.
        onEnd: () => {
          this.#kept.delete(order);
          opened.resolve();
          ended.resolve();
        },
      },
    );
    await opened.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const order of this.#kept.keys()) {
      Atomics.store(order, 0, leftOrders.end);
      Atomics.notify(order, 0);
    }
    await Promise.all(this.#kept.values());
    await this.#threads[Symbol.asyncDispose]();
  }
}
