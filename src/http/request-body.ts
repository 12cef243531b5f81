/**
 * Bodies of requests while they arrive, with limits on the size of each and of all, and on time.
 *
 * A body counts against the shared budget from its first chunk until it is complete. From then on,
 * admission limits the work that it asks for.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { ByteSource } from './byte-shares.ts';

/** The limits that a body may pass, by the names that ops/security.md lists. */
export type BodyBound = 'bodyBytesMax' | 'bodyMsMax' | ArrivingBound;
export type ArrivingBound = 'arrivingBytesMax' | 'arrivingBytesOfConnectionMax' | 'arrivingBytesOfCallerMax';

/** What bodies take their memory from. */
export type BodySource = ByteSource<ArrivingBound>;

export type BodyLimits = {
  /** Units: bytes of one body. */
  readonly bodyBytesMax: number;
  /** From a body's first chunk, over HTTP/2 from its head, to its last. Units: ms. */
  readonly bodyMsMax: number;
  readonly budget: BodySource;
};

/** Enough for the largest body over a slow network. Units: ms. */
export const bodyMsMaxDefault = 30_000;

/** Returns the error for a body that exceeds a bound. */
export function bodyBoundError(bound: BodyBound): DataPlaneError {
  const code = bound === 'bodyMsMax' ? 'DeadlineExceeded' : 'ResourceExhausted';
  return new DataPlaneError(code, `the body passes ${bound}`);
}

/** Returns the bound that a body which is there as a whole exceeds, or null. */
export function boundOfWhole(bytes: number, { bodyBytesMax }: BodyLimits, source: BodySource): BodyBound | null {
  return bytes > bodyBytesMax ? 'bodyBytesMax' : source.boundOf(bytes);
}

/** The chunks of one arriving body. */
export class RequestBody {
  readonly #limits: BodyLimits;
  readonly #source: BodySource;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: BodyLimits, source: BodySource = limits.budget) {
    this.#limits = limits;
    this.#source = source;
  }

  /** True once the body was taken, refused or aborted; later chunks are ignored. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /** Adds a chunk and takes ownership of it. Returns the bound that it exceeds, or null. */
  add(chunk: Buffer): BodyBound | null {
    const { bodyBytesMax } = this.#limits;
    const isTooLarge = this.#bytes + chunk.length > bodyBytesMax;
    const bound = isTooLarge ? 'bodyBytesMax' : this.#source.take(chunk.length);
    if (bound !== null) {
      this.drop();
      return bound;
    }
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    return null;
  }

  /** Drops the body and calls `late` unless it completes in time. Only the first call counts. */
  expectRest(late: (bound: BodyBound) => void): void {
    this.#timer ??= setTimeout(() => {
      this.drop();
      late('bodyMsMax');
    }, this.#limits.bodyMsMax);
  }

  /** Returns the complete body and releases its budget. */
  take(): Buffer {
    const chunks = this.#chunks;
    this.drop();
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isDropped = true;
    this.#source.release(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }
}

/** What is read of a body that was refused; the connection of a larger one ends at once. */
const refusedBytesMax = 16 * 1024 * 1024;

/**
 * A body that says at its beginning that it is too large: it is read to its end and nothing of it
 * kept. Its client gets the refusal only so: one that is still sending sees the connection break,
 * and would take that for a failure that it may retry.
 */
export class RefusedBody {
  readonly #done: (bound: BodyBound) => void;
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor({ bodyMsMax }: BodyLimits, done: (bound: BodyBound) => void) {
    this.#done = done;
    this.#timer = setTimeout(() => done('bodyMsMax'), bodyMsMax);
  }

  /** Counts a chunk, of which nothing is copied. */
  read(bytes: number, isLast: boolean): void {
    this.#bytes += bytes;
    if (!isLast && this.#bytes <= refusedBytesMax) return;
    this.drop();
    this.#done('bodyBytesMax');
  }

  drop(): void {
    clearTimeout(this.#timer);
  }
}
