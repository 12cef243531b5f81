/**
 * Bodies of requests while they arrive, with limits on the size of each and of all, and on time.
 *
 * A body counts against the shared budget from its first chunk until it is complete. From then on,
 * admission limits the work that it asks for.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';

/** The limits that a body may pass, by the names that ops/security.md lists. */
export type BodyBound = 'bodyBytesMax' | 'bodyMsMax' | BudgetBound;
type BudgetBound = 'arrivingBytesMax' | 'arrivingBytesOfConnectionMax' | 'arrivingBytesOfCallerMax';

/** What bodies take their memory from. */
export type BodySource = {
  /** Takes bytes. Returns the limit that too few are left of, and takes nothing then; or null. */
  take(bytes: number): BudgetBound | null;
  release(bytes: number): void;
  /** Returns the limit that too few are left of, or null, and takes nothing. */
  boundOf(bytes: number): BudgetBound | null;
};

/** The memory that arriving bodies together may take. Units: bytes. */
export class BodyBudget implements BodySource {
  readonly #bytesMax: number;
  readonly #bound: BudgetBound;
  #bytes = 0;

  constructor(bytesMax: number, bound: BudgetBound = 'arrivingBytesMax') {
    this.#bytesMax = bytesMax;
    this.#bound = bound;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): BudgetBound | null {
    const bound = this.boundOf(bytes);
    if (bound === null) this.#bytes += bytes;
    return bound;
  }

  boundOf(bytes: number): BudgetBound | null {
    return this.#bytes + bytes > this.#bytesMax ? this.#bound : null;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Takes from several budgets at once, or from none. */
export class JointBudget implements BodySource {
  readonly #sources: readonly BodySource[];

  constructor(sources: readonly BodySource[]) {
    this.#sources = sources;
  }

  take(bytes: number): BudgetBound | null {
    for (const [index, source] of this.#sources.entries()) {
      const bound = source.take(bytes);
      if (bound === null) continue;
      for (const taken of this.#sources.slice(0, index)) taken.release(bytes);
      return bound;
    }
    return null;
  }

  boundOf(bytes: number): BudgetBound | null {
    for (const source of this.#sources) {
      const bound = source.boundOf(bytes);
      if (bound !== null) return bound;
    }
    return null;
  }

  release(bytes: number): void {
    for (const source of this.#sources) source.release(bytes);
  }
}

/** A budget, and the share of each caller. Callers choose names, so idle ones are dropped. */
export class CallerBudgets {
  readonly #total: BodyBudget;
  readonly #bytesMax: number;
  readonly #bytesByCaller = new Map<string, number>();

  constructor(total: BodyBudget, bytesOfCallerMax: number) {
    this.#total = total;
    this.#bytesMax = bytesOfCallerMax;
  }

  of(caller: string): BodySource {
    return new CallerShare(caller, this.#bytesMax, this.#bytesByCaller, this.#total);
  }
}

class CallerShare implements BodySource {
  readonly #caller: string;
  readonly #bytesMax: number;
  readonly #bytesByCaller: Map<string, number>;
  readonly #total: BodyBudget;

  constructor(caller: string, bytesMax: number, bytesByCaller: Map<string, number>, total: BodyBudget) {
    this.#caller = caller;
    this.#bytesMax = bytesMax;
    this.#bytesByCaller = bytesByCaller;
    this.#total = total;
  }

  get #bytes(): number {
    return this.#bytesByCaller.get(this.#caller) ?? 0;
  }

  take(bytes: number): BudgetBound | null {
    const bound = this.boundOf(bytes);
    if (bound !== null) return bound;
    this.#bytesByCaller.set(this.#caller, this.#bytes + bytes);
    return this.#total.take(bytes);
  }

  boundOf(bytes: number): BudgetBound | null {
    return this.#bytes + bytes > this.#bytesMax ? 'arrivingBytesOfCallerMax' : this.#total.boundOf(bytes);
  }

  release(bytes: number): void {
    this.#total.release(bytes);
    const left = this.#bytes - bytes;
    if (left > 0) this.#bytesByCaller.set(this.#caller, left);
    else this.#bytesByCaller.delete(this.#caller);
  }
}

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
