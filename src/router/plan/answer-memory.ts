/**
 * The memory of answers that are prepared: what nodes answered, the merged answer, and what of it a
 * client has not read.
 *
 * Owns: the limits on all of them and on those of a caller. Refuses: what passes a limit, at once
 * and by its name, since a request that waited would keep what it has. Small answers are many and
 * short-lived, so they are not counted; admission limits them.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { ByteShares, type ByteSource, CallerShares } from '../../http/byte-shares.ts';

/** Units: bytes. */
export type AnswerMemoryLimits = {
  readonly preparedBytesMax: number;
  readonly preparedBytesOfCallerMax: number;
};

export const answerMemoryDefaults: AnswerMemoryLimits = {
  preparedBytesMax: 128 * 1024 * 1024,
  // As with items in flight, three quarters.
  preparedBytesOfCallerMax: 96 * 1024 * 1024,
};

/** A thread has at least so much, however many there are: an answer of half of it must fit. */
const preparedBytesOfThreadMin = 32 * 1024 * 1024;

/** Returns the limits of a thread that has this share of those of its process. */
export function answerMemoryOf(limits: AnswerMemoryLimits, share: number): AnswerMemoryLimits {
  const part = (bytes: number): number => Math.max(bytes * share, Math.min(bytes, preparedBytesOfThreadMin));
  return {
    preparedBytesMax: part(limits.preparedBytesMax),
    preparedBytesOfCallerMax: part(limits.preparedBytesOfCallerMax),
  };
}

/** A larger answer is counted, and sent in parts. Units: bytes. */
export const smallAnswerBytesMax = 256 * 1024;

type Bound = keyof AnswerMemoryLimits;

export class AnswerMemory {
  readonly #limits: AnswerMemoryLimits;
  readonly #total: ByteShares<Bound>;
  readonly #callers: CallerShares<Bound>;
  readonly #refusals: Record<Bound, number> = { preparedBytesMax: 0, preparedBytesOfCallerMax: 0 };

  constructor(limits: AnswerMemoryLimits) {
    this.#limits = limits;
    this.#total = new ByteShares<Bound>(limits.preparedBytesMax, 'preparedBytesMax');
    this.#callers = new CallerShares(this.#total, limits.preparedBytesOfCallerMax, 'preparedBytesOfCallerMax');
  }

  /** In use. */
  get bytes(): number {
    return this.#total.bytes;
  }

  /** Refused requests. */
  get refusedByLimit(): Readonly<Record<Bound, number>> {
    return this.#refusals;
  }

  /** Takes memory until `release`. Errors: `ResourceExhausted` naming the limit. */
  take(caller: string, bytes: number): void {
    const bound = this.#sourceOf(caller).take(bytes);
    if (bound === null) return;
    this.#refusals[bound]++;
    const limit = `${bound} = ${this.#limits[bound]}`;
    throw new DataPlaneError('ResourceExhausted', `${bytes} more bytes of answers would pass ${limit}`);
  }

  release(caller: string, bytes: number): void {
    this.#sourceOf(caller).release(bytes);
  }

  #sourceOf(caller: string): ByteSource<Bound> {
    return this.#callers.of(caller);
  }
}
