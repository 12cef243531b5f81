/**
 * Shares of a number of bytes, for work that says beforehand how many it may take.
 *
 * Owns: the order of those that wait, first come first served: a large share is not overtaken for
 * ever by small ones. Whoever holds a share must not wait for another.
 */
import { invariant } from '../base/invariant.ts';

/** Bytes of a budget, until they are given back; that may be in parts. */
export class ByteShare {
  readonly #onReturn: (bytes: number) => void;
  #bytes: number;

  constructor(bytes: number, onReturn: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#onReturn = onReturn;
  }

  /** Gives back all but so many bytes. */
  shrinkTo(bytes: number): void {
    const returned = Math.max(0, this.#bytes - bytes);
    this.#bytes -= returned;
    if (returned > 0) this.#onReturn(returned);
  }

  release(): void {
    this.shrinkTo(0);
  }
}

type Waiting = { readonly bytes: number; readonly start: (share: ByteShare) => void };

/** Gives out shares of `bytesMax`; at most `waitingMax` wait for theirs. */
export class ByteBudget {
  readonly #bytesMax: number;
  readonly #waitingMax: number;
  readonly #waiting: Waiting[] = [];
  #held = 0;

  constructor(bytesMax: number, waitingMax: number) {
    this.#bytesMax = bytesMax;
    this.#waitingMax = waitingMax;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** Returns: a share once it is free; null when too many wait already. */
  reserve(bytes: number): Promise<ByteShare> | null {
    invariant(bytes <= this.#bytesMax, 'a share is no larger than its budget');
    const isFree = this.#waiting.length === 0 && this.#held + bytes <= this.#bytesMax;
    if (!isFree && this.#waiting.length >= this.#waitingMax) return null;
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, start: resolve });
      this.#startWaiting();
    });
  }

  #startWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#held + next.bytes > this.#bytesMax) return;
      this.#waiting.shift();
      this.#held += next.bytes;
      next.start(new ByteShare(next.bytes, (bytes) => this.#return(bytes)));
    }
  }

  #return(bytes: number): void {
    this.#held -= bytes;
    this.#startWaiting();
  }
}
