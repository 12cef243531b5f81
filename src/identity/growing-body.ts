/**
 * A body as it comes. Parts that are joined at the end would be in memory twice; here a buffer of
 * half the size is copied before the rest of the larger one is in use.
 */
export class GrowingBody {
  readonly #declaredBytes: number;
  readonly #bytesMax: number;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #isOurs = false;

  constructor(declaredBytes: number, bytesMax: number) {
    this.#declaredBytes = declaredBytes;
    this.#bytesMax = bytesMax;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Returns: false when the body would be too large. */
  add(part: Buffer): boolean {
    const length = this.#length + part.length;
    if (length > this.#bytesMax) return false;
    // Most answers have one part, which is not copied.
    if (this.#length === 0) this.#buffer = part;
    else {
      if (length > this.#buffer.length) this.#grow(length);
      part.copy(this.#buffer, this.#length);
    }
    this.#length = length;
    return true;
  }

  #grow(length: number): void {
    const bytes = Math.max(this.#declaredBytes, 2 ** Math.ceil(Math.log2(length)));
    const grown = Buffer.allocUnsafeSlow(Math.min(bytes, this.#bytesMax));
    this.#buffer.copy(grown, 0, 0, this.#length);
    // Freed at once: the garbage collector would let many of these wait.
    if (this.#isOurs) (this.#buffer.buffer as ArrayBuffer).transfer(0);
    this.#buffer = grown;
    this.#isOurs = true;
  }
}
