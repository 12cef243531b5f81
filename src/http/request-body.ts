/**
 * Bodies of requests while they arrive: bounded one by one, all together, and in time.
 *
 * A body counts against the shared room from its first chunk until it is whole. Then whoever takes
 * it bounds the work that it asks for.
 */

import { DataPlaneError } from '../base/data-plane-error.ts';

/** Room for all bodies that are arriving. Units: bytes. */
export class BodyRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes room; false, with nothing taken, when there is not enough. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** What bounds the bodies of a server. */
export type BodyLimits = {
  /** Units: bytes of one body. */
  readonly bodyBytesMax: number;
  /** From a body's first chunk to its last. Units: ms. */
  readonly bodyMsMax: number;
  readonly room: BodyRoom;
};

/** Long enough for the largest body over a slow network. Units: ms. */
export const bodyMsMaxDefault = 30_000;

/** A bound that a body can pass. */
export type BodyBound = 'bodyBytesMax' | 'arrivingBytesMax' | 'bodyMsMax';

/** Returns the error that a body which passes a bound is answered with. */
export function bodyBoundError(bound: BodyBound): DataPlaneError {
  const code = bound === 'bodyMsMax' ? 'DeadlineExceeded' : 'ResourceExhausted';
  return new DataPlaneError(code, `the body passes ${bound}`);
}

/** One body that is arriving. */
export class RequestBody {
  readonly #limits: BodyLimits;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** True once the body was taken, refused or broken off: what still comes is ignored. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /** Adds a chunk, which the body owns from now on. Returns the bound that it passes, or null. */
  add(chunk: Buffer): BodyBound | null {
    const { bodyBytesMax, room } = this.#limits;
    const isTooLarge = this.#bytes + chunk.length > bodyBytesMax;
    if (isTooLarge || !room.take(chunk.length)) {
      this.drop();
      return isTooLarge ? 'bodyBytesMax' : 'arrivingBytesMax';
    }
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    return null;
  }

  /** Drops the body and calls `late` unless it is whole in time. Only the first call counts. */
  expectRest(late: (bound: BodyBound) => void): void {
    this.#timer ??= setTimeout(() => {
      this.drop();
      late('bodyMsMax');
    }, this.#limits.bodyMsMax);
  }

  /** Returns the whole body and releases its room. */
  take(): Buffer {
    const chunks = this.#chunks;
    this.drop();
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /** Releases what has come. */
  drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isDropped = true;
    this.#limits.room.release(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }
}
