/**
 * Notes for operators of things whose number others decide: a few a second, and how many were left
 * out before each.
 */
import type { Clock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

export type Note = (message: string, fields: Record<string, unknown>) => void;

export class BoundedNotes {
  readonly #note: Note;
  readonly #leftField: string;
  readonly #bucket: TokenBucket;
  #left = 0;

  /** `leftField` names the field that says how many notes were left out. */
  constructor(note: Note, leftField: string, perSecondMax: number, clock: Clock) {
    this.#note = note;
    this.#leftField = leftField;
    this.#bucket = new TokenBucket(perSecondMax, clock);
  }

  /** Notes what `compose` returns, which is not called for one that is left out. */
  add(compose: () => readonly [message: string, fields: Record<string, unknown>]): void {
    if (!this.#bucket.tryTake()) {
      this.#left++;
      return;
    }
    const left = this.#left;
    this.#left = 0;
    const [message, fields] = compose();
    this.#note(message, left === 0 ? fields : { ...fields, [this.#leftField]: left });
  }
}
