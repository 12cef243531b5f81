/** A log in memory whose acknowledgements a test can hold back, fail, or drop as in a crash. */
import type { Entry } from '../../src/entry/entry.ts';
import type { LogAppender } from '../../src/log/log-appender.ts';

type Waiting = { readonly resolve: () => void; readonly reject: (error: Error) => void };

/** Keeps all entries in append order. */
export class MemoryLog implements LogAppender {
  readonly entries: { readonly key: string; readonly entry: Entry }[] = [];
  /** While true, acknowledgements wait for `acknowledgeAll`. */
  isHeld = false;
  pendingBytes = 0;
  capacityWaits = 0;
  readonly #waiting: Waiting[] = [];
  #capacityWaiters: (() => void)[] = [];

  get hasCapacity(): boolean {
    return this.pendingBytes === 0;
  }

  append(key: string, entry: Entry): Promise<void> {
    this.entries.push({ key, entry });
    if (!this.isHeld) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  acknowledgeAll(): void {
    this.isHeld = false;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Acknowledges one append, by its index among those that wait. */
  acknowledge(index: number): void {
    for (const { resolve } of this.#waiting.splice(index, 1)) resolve();
  }

  fail(error = new Error('the log is closed')): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async waitForCapacity(): Promise<void> {
    this.capacityWaits++;
    if (this.pendingBytes > 0) await new Promise<void>((resolve) => this.#capacityWaiters.push(resolve));
  }

  /** Resolves all waits for capacity. */
  addCapacity(): void {
    this.pendingBytes = 0;
    for (const resolve of this.#capacityWaiters.splice(0)) resolve();
  }

  of<Kind extends Entry['kind']>(kind: Kind, did?: string): Extract<Entry, { kind: Kind }>[] {
    return this.entries.flatMap(({ key, entry }) =>
      entry.kind === kind && (did === undefined || key === did) ? [entry as Extract<Entry, { kind: Kind }>] : [],
    );
  }

  /** The kinds of a DID's entries, in order, with their revs. */
  storyOf(did: string): string[] {
    return this.entries.flatMap(({ key, entry }) =>
      key === did ? ['rev' in entry ? `${entry.kind} ${entry.rev}` : entry.kind] : [],
    );
  }
}
