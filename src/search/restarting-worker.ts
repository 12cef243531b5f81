/**
 * A thread that is started again when it dies: search may fail, and its node must not.
 *
 * Owns: the worker, and what was asked of it, which fails as `Unavailable` with it.
 */
import type { Worker } from 'node:worker_threads';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { FromSearchThreads } from './search-thread-messages.ts';

const policy = { firstMs: 200, maxMs: 30_000 };

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

export type RestartingWorkerOptions = {
  /** For messages. */
  readonly name: string;
  readonly start: () => Worker;
  /** Takes what is no answer. */
  readonly onMessage: (message: FromSearchThreads) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

export class RestartingWorker<ToThread extends { readonly type: string }> {
  readonly #options: RestartingWorkerOptions;
  readonly #waitingById = new Map<number, Waiting>();
  readonly #stop = new AbortController();
  #worker: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #nextId = 1;
  #failures = 0;

  constructor(options: RestartingWorkerOptions) {
    this.#options = options;
    this.#start();
  }

  get waiting(): number {
    return this.#waitingById.size;
  }

  #start(): void {
    const worker = this.#options.start();
    this.#worker = worker;
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    let why = 'it ended';
    worker.on('message', (message: FromSearchThreads) => this.#take(message));
    worker.on('error', (error) => {
      why = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => {
      this.#worker = null;
      for (const { reject } of this.#waitingById.values()) reject(this.#unavailable());
      this.#waitingById.clear();
      ended.resolve();
      if (!this.#stop.signal.aborted) this.#startAgain(why);
    });
  }

  #startAgain(why: string): void {
    const { name, clock, note } = this.#options;
    this.#failures++;
    const waitMs = backoffMs(policy, this.#failures, seededRandom(clock.nowMs()));
    note(`${name} has failed, and is started again`, { because: why, failures: this.#failures });
    void clock.sleep(waitMs, this.#stop.signal).then(() => {
      if (!this.#stop.signal.aborted) this.#start();
    });
  }

  #unavailable(): DataPlaneError {
    return new DataPlaneError('Unavailable', `${this.#options.name} has failed, and is started again`);
  }

  #take(message: FromSearchThreads): void {
    if (message.type !== 'answered' && message.type !== 'failed') return this.#options.onMessage(message);
    const waiting = this.#waitingById.get(message.id);
    this.#waitingById.delete(message.id);
    this.#failures = 0;
    if (message.type === 'answered') waiting?.resolve(message.value);
    else waiting?.reject(new DataPlaneError(message.code, message.message));
  }

  send(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  /** Errors: as the thread raised them; DataPlaneError `Unavailable` without one. */
  ask(make: (id: number) => ToThread, transfer: ArrayBuffer[] = []): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#worker === null) return reject(this.#unavailable());
      this.#waitingById.set(id, { resolve, reject });
      this.#worker.postMessage(make(id), transfer);
    });
  }

  /** Ends the thread after what it has begun. */
  async close(message: ToThread): Promise<void> {
    this.#stop.abort();
    this.send(message);
    await this.#ended;
  }
}
