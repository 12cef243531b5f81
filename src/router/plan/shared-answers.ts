/**
 * Answers of identical requests in flight, of which all but the first share its answer.
 *
 * Owns: that no request shares an answer that began before a write which its caller may have made.
 */
import type { Plan } from './plan.ts';

/** How often the routers of a process have written. */
export type WriteCount = { readonly add: () => void; readonly read: () => number };

export class SharedAnswers {
  readonly #writes: WriteCount | undefined;
  readonly #running = new Map<string, Promise<Uint8Array>>();
  #writesSeen = 0;
  #count = 0;

  constructor(writes: WriteCount | undefined) {
    this.#writes = writes;
  }

  /** Requests that shared an answer. */
  get count(): number {
    return this.#count;
  }

  /** Says that a write was sent: no later request may share an answer that began before. */
  wrote(): void {
    this.#writes?.add();
    this.#running.clear();
  }

  /** Returns the answer of an identical request in flight, if there is one. */
  find(plan: Plan, request: Buffer): Promise<Uint8Array> | undefined {
    this.#dropAnswersBeforeWrites();
    if (this.#running.size === 0) return undefined;
    const found = this.#running.get(keyOf(plan, request));
    if (found !== undefined) this.#count++;
    return found;
  }

  /** Lets later requests share an answer, until it is there. */
  add(plan: Plan, request: Buffer, running: Promise<Uint8Array>): void {
    const key = keyOf(plan, request);
    this.#running.set(key, running);
    const end = (): void => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    };
    running.then(end, end);
  }

  #dropAnswersBeforeWrites(): void {
    const writes = this.#writes?.read() ?? 0;
    if (writes === this.#writesSeen) return;
    this.#writesSeen = writes;
    this.#running.clear();
  }
}

function keyOf(plan: Plan, request: Buffer): string {
  return `${plan.method} ${request.latin1Slice()}`;
}
