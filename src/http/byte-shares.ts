/**
 * Memory that requests share: for bodies that arrive, and for answers that are prepared.
 *
 * Owns: the counts of bytes, of all and of each caller. Refuses: more than there is, by the name of
 * the limit.
 */

export type ByteSource<Bound extends string> = {
  /** Takes bytes. Returns the limit that too few are left of, and takes nothing then; or null. */
  take(bytes: number): Bound | null;
  release(bytes: number): void;
  /** Returns the limit that too few are left of, or null, and takes nothing. */
  boundOf(bytes: number): Bound | null;
};

/** The memory that all together may take. Units: bytes. */
export class ByteShares<Bound extends string> implements ByteSource<Bound> {
  readonly #bytesMax: number;
  readonly #bound: Bound;
  #bytes = 0;

  /** `bound` is the name of the limit. */
  constructor(bytesMax: number, bound: Bound) {
    this.#bytesMax = bytesMax;
    this.#bound = bound;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): Bound | null {
    const bound = this.boundOf(bytes);
    if (bound === null) this.#bytes += bytes;
    return bound;
  }

  boundOf(bytes: number): Bound | null {
    return this.#bytes + bytes > this.#bytesMax ? this.#bound : null;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Takes from several sources at once, or from none. */
export class JointSource<Bound extends string> implements ByteSource<Bound> {
  readonly #sources: readonly ByteSource<Bound>[];

  constructor(sources: readonly ByteSource<Bound>[]) {
    this.#sources = sources;
  }

  take(bytes: number): Bound | null {
    for (const [index, source] of this.#sources.entries()) {
      const bound = source.take(bytes);
      if (bound === null) continue;
      for (const taken of this.#sources.slice(0, index)) taken.release(bytes);
      return bound;
    }
    return null;
  }

  boundOf(bytes: number): Bound | null {
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

/** All shares, and that of each caller. Callers choose names, so idle ones are dropped. */
export class CallerShares<Bound extends string> {
  readonly total: ByteShares<Bound>;
  readonly bytesOfCallerMax: number;
  readonly boundOfCaller: Bound;
  readonly bytesByCaller = new Map<string, number>();

  /** `boundOfCaller` is the name of the limit of one caller. */
  constructor(total: ByteShares<Bound>, bytesOfCallerMax: number, boundOfCaller: Bound) {
    this.total = total;
    this.bytesOfCallerMax = bytesOfCallerMax;
    this.boundOfCaller = boundOfCaller;
  }

  of(caller: string): ByteSource<Bound> {
    return new CallerShare(caller, this);
  }
}

class CallerShare<Bound extends string> implements ByteSource<Bound> {
  readonly #caller: string;
  readonly #shares: CallerShares<Bound>;

  constructor(caller: string, shares: CallerShares<Bound>) {
    this.#caller = caller;
    this.#shares = shares;
  }

  get #bytes(): number {
    return this.#shares.bytesByCaller.get(this.#caller) ?? 0;
  }

  take(bytes: number): Bound | null {
    const bound = this.boundOf(bytes);
    if (bound !== null) return bound;
    const { bytesByCaller, total } = this.#shares;
    bytesByCaller.set(this.#caller, this.#bytes + bytes);
    return total.take(bytes);
  }

  boundOf(bytes: number): Bound | null {
    const { bytesOfCallerMax, boundOfCaller, total } = this.#shares;
    return this.#bytes + bytes > bytesOfCallerMax ? boundOfCaller : total.boundOf(bytes);
  }

  release(bytes: number): void {
    const { bytesByCaller, total } = this.#shares;
    total.release(bytes);
    const left = this.#bytes - bytes;
    if (left > 0) bytesByCaller.set(this.#caller, left);
    else bytesByCaller.delete(this.#caller);
  }
}
