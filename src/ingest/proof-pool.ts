/**
 * Proves commits in threads of their own: each DID in one of them, so in order.
 *
 * Owns: the threads and what waits for them, which is bounded: callers await `waitForCapacity`
 * between events. Messages of one turn of the event loop travel as one batch.
 */
import { Worker } from 'node:worker_threads';
import { cidBytes } from '../atproto/cid.ts';
import { invariant } from '../base/invariant.ts';
import { xxh32 } from '../base/xxh32.ts';
import { Backlog } from './backlog.ts';
import type { ProofAnswers, ProofBatch } from './proof-messages.ts';

/** `data` and `prevData` are roots of the tree after and before the commit, 36 bytes each. */
export type ProofResult =
  | { readonly ok: true; readonly data: Buffer; readonly prevData: Buffer | null }
  | { readonly ok: false; readonly reason: string };

type Job = { readonly frame: Uint8Array; readonly key: string; readonly resolve: (result: ProofResult) => void };

/** Messages that wait or are being proven, and their bytes. */
const limits = { items: 4096, bytes: 33_554_432 };

class ProofThread {
  readonly #worker: Worker;
  readonly #onDone: (job: Job) => void;
  /** Batches in the order in which they are answered. */
  readonly #sent: Job[][] = [];
  #waiting: Job[] = [];
  #isFlushing = false;
  #isClosing = false;

  constructor(onDone: (job: Job) => void) {
    this.#onDone = onDone;
    this.#worker = new Worker(new URL('./proof-thread.ts', import.meta.url), { name: 'skyshard-proof' });
    this.#worker.on('message', (answers: ProofAnswers) => this.#take(answers));
    const die = (why: unknown): void => {
      if (!this.#isClosing) throw why instanceof Error ? why : new Error(`a proving thread ended with code ${why}`);
    };
    this.#worker.on('error', die);
    this.#worker.on('exit', die);
  }

  add(job: Job): void {
    this.#waiting.push(job);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushing = false;
    const jobs = this.#waiting;
    if (jobs.length === 0 || this.#isClosing) return;
    this.#waiting = [];
    const bytes = new Uint8Array(jobs.reduce((sum, { frame }) => sum + frame.length, 0));
    let at = 0;
    for (const { frame } of jobs) {
      bytes.set(frame, at);
      at += frame.length;
    }
    const batch: ProofBatch = {
      bytes,
      lengths: jobs.map(({ frame }) => frame.length),
      keys: jobs.map(({ key }) => key),
    };
    this.#sent.push(jobs);
    this.#worker.postMessage(batch, [bytes.buffer]);
  }

  #take({ reasons, data, prevData }: ProofAnswers): void {
    const jobs = this.#sent.shift();
    invariant(jobs?.length === reasons.length, 'batches are answered in order');
    for (const job of jobs) this.#onDone(job);
    for (const [index, { resolve }] of jobs.entries()) {
      const reason = reasons[index]!;
      const [from, to] = [index * cidBytes, (index + 1) * cidBytes];
      const before = Buffer.from(prevData.subarray(from, to));
      if (reason !== null) resolve({ ok: false, reason });
      else resolve({ ok: true, data: Buffer.from(data.subarray(from, to)), prevData: before[0] === 0 ? null : before });
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#worker.terminate();
  }
}

export class ProofPool implements AsyncDisposable {
  readonly #threads: readonly ProofThread[];
  readonly #waiting = new Backlog(limits);

  /** Starts the threads. */
  constructor(threads: number) {
    this.#threads = Array.from(
      { length: threads },
      () => new ProofThread(({ frame }) => this.#waiting.remove(frame.length)),
    );
  }

  /** See `Backlog.waitForCapacity`. */
  waitForCapacity(): Promise<void> | null {
    return this.#waiting.waitForCapacity();
  }

  get pendingCount(): number {
    return this.#waiting.items;
  }

  /**
   * Proves a message by a multikey. Results about one DID come in the order of the calls; none
   * comes after the pool was closed.
   */
  prove(did: string, frame: Uint8Array, key: string): Promise<ProofResult> {
    this.#waiting.add(frame.length);
    const index = this.#threads.length === 1 ? 0 : xxh32(Buffer.from(did)) % this.#threads.length;
    return new Promise((resolve) => this.#threads[index]!.add({ frame, key, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}
