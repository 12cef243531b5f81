/**
 * Bodies of requests while they arrive, with limits on the size of each and of all, and on time.
 *
 * A body counts against the shared budget from its first chunk until it is complete. From then on,
 * admission limits the work that it asks for.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';

/** The memory that all arriving bodies together may take. Units: bytes. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes bytes; false, with nothing taken, when too few are left. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export type BodyLimits = {
  /** Units: bytes of one body. */
  readonly bodyBytesMax: number;
  /** From a body's first chunk to its last. Units: ms. */
  readonly bodyMsMax: number;
  readonly budget: BodyBudget;
};

/** Enough for the largest body over a slow network. Units: ms. */
export const bodyMsMaxDefault = 30_000;

export type BodyBound = 'bodyBytesMax' | 'arrivingBytesMax' | 'bodyMsMax';

/** Returns the error for a body that exceeds a bound. */
export function bodyBoundError(bound: BodyBound): DataPlaneError {
  const code = bound === 'bodyMsMax' ? 'DeadlineExceeded' : 'ResourceExhausted';
  return new DataPlaneError(code, `the body passes ${bound}`);
}

/** The chunks of one arriving body. */
export class RequestBody {
  readonly #limits: BodyLimits;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** True once the body was taken, refused or aborted; later chunks are ignored. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /** Adds a chunk and takes ownership of it. Returns the bound that it exceeds, or null. */
  add(chunk: Buffer): BodyBound | null {
    const { bodyBytesMax, budget } = this.#limits;
    const isTooLarge = this.#bytes + chunk.length > bodyBytesMax;
    if (isTooLarge || !budget.take(chunk.length)) {
      this.drop();
      return isTooLarge ? 'bodyBytesMax' : 'arrivingBytesMax';
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
    this.#limits.budget.release(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }
}
