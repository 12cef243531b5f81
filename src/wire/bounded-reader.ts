/** Reads what a peer process wrote with ByteWriter; bytes that end early are an `Internal` error of the pair, never a crash. */
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';

/** Items of one list beyond this are refused. */
const listItemsMax = 1_000_000;

/** Mirrors the writing half in `base/bytes.ts`. Slices alias the source. */
export class BoundedReader {
  readonly buffer: Buffer;
  readonly #what: string;
  readonly #code: ErrorCode;
  position = 0;

  /** `what` names the message in errors; `code` is `InvalidArgument` where callers outside the cluster write the bytes. */
  constructor(source: Uint8Array, what: string, code: ErrorCode = 'Internal') {
    this.buffer = Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.length);
    this.#what = what;
    this.#code = code;
  }

  fail(problem: string): never {
    throw new DataPlaneError(this.#code, `${this.#what}: ${problem}`);
  }

  #take(bytes: number): number {
    const start = this.position;
    if (start + bytes > this.buffer.length) this.fail('the bytes end early');
    this.position = start + bytes;
    return start;
  }

  u8(): number {
    return this.buffer[this.#take(1)]!;
  }

  u48(): number {
    return this.buffer.readUIntBE(this.#take(6), 6);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return this.fail('a varint is too long');
  }

  /** Reads how many items follow. */
  count(): number {
    const count = this.varint();
    if (count > listItemsMax || count > this.buffer.length - this.position)
      this.fail('a list is longer than its message');
    return count;
  }

  lengthDelimited(): Buffer {
    const length = this.varint();
    const start = this.#take(length);
    return this.buffer.subarray(start, start + length);
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.buffer.subarray(start, start + length);
  }

  text(): string {
    const length = this.varint();
    const start = this.#take(length);
    return this.buffer.utf8Slice(start, start + length);
  }

  texts(): string[] {
    const count = this.count();
    const texts: string[] = new Array(count);
    for (let index = 0; index < count; index++) texts[index] = this.text();
    return texts;
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  /** Steps over a length-delimited value and returns where its content begins; it ends at `position`. */
  lengthDelimitedRange(): number {
    return this.#take(this.varint());
  }

  /** Steps over a length-delimited value. */
  skipLengthDelimited(): void {
    this.#take(this.varint());
  }

  /** Checks that all was read. */
  end(): void {
    if (this.position !== this.buffer.length) this.fail('bytes are left over');
  }
}
