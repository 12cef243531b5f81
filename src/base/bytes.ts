/**
 * Cursor-style reading and writing of our own binary formats (keys, values, log entries, frames).
 *
 * Owns: growth, bounds, and byte order: big-endian throughout, so that byte order is number order. Texts are
 * length-delimited UTF-8. Refuses: reading past the end.
 */
import { InvariantError } from './invariant.ts';

declare global {
  /** Node's own fast paths, which its type declarations leave out. Positions are bytes. */
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    utf8Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
    utf8Write(text: string, offset?: number, length?: number): number;
  }
}

/** Grows as it is written; `finish` copies out what was written and starts anew. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#buffer[this.#length++] = value >>> 8;
    this.#buffer[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value >>> 0, this.#length);
    return this;
  }

  /** Six bytes: enough for milliseconds and for log positions (2^48). */
  u48(value: number): this {
    this.#reserve(6);
    this.#length = this.#buffer.writeUIntBE(value, this.#length, 6);
    return this;
  }

  varint(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Varint length, then the bytes. */
  lengthDelimited(value: Uint8Array): this {
    return this.varint(value.length).bytes(value);
  }

  /** Varint length, then UTF-8. */
  text(value: string): this {
    const bytes = Buffer.byteLength(value);
    this.varint(bytes);
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, bytes, 'utf8');
    return this;
  }

  /** ASCII without a length; the caller knows it to be ASCII. */
  ascii(value: string): this {
    this.#reserve(value.length);
    this.#length += this.#buffer.latin1Write(value, this.#length, value.length);
    return this;
  }

  /** Forgets what was written. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  /** Returns a copy of what was written and empties the writer. */
  finish(): Buffer {
    const result = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(result, 0, 0, this.#length);
    this.#length = 0;
    return result;
  }
}

/** True when the bytes at `a[aAt..]` and `b[bAt..]` are the same. For few bytes a loop is faster than a native call. */
export function isSameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, bytes: number): boolean {
  for (let index = 0; index < bytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

/** True when `bytes` are at `source[at..]`. */
export function hasBytesAt(source: Uint8Array, at: number, bytes: Uint8Array): boolean {
  return isSameBytes(source, at, bytes, 0, bytes.length);
}

/** Copies the characters `text[start..end)` to `into[at..]`; one that is not ASCII becomes 0. */
export function copyAscii(text: string, start: number, end: number, into: Uint8Array, at: number): void {
  for (let from = start, to = at; from < end; from++) {
    const code = text.charCodeAt(from);
    into[to++] = code < 128 ? code : 0;
  }
}

/** Bytes that are not of the format that they are read as. Of a peer an error of the call; uncaught, our own corruption. */
export class MalformedBytes extends InvariantError {
  override readonly name = 'MalformedBytes';
  /** What was read: a message, a row, an entry. */
  readonly what: string;

  constructor(what: string, problem: string) {
    super(`${what}: ${problem}`);
    this.what = what;
  }
}

/** Returns what `decode` returns, or the MalformedBytes that it threw. Any other error passes through. */
export function tryDecode<Value>(decode: () => Value): Value | MalformedBytes {
  try {
    return decode();
  } catch (thrown) {
    if (thrown instanceof MalformedBytes) return thrown;
    throw thrown;
  }
}

const listItemsMax = 1_000_000;

/**
 * Reads what ByteWriter wrote, within bounds. Slices alias the source: copy what must outlive it.
 *
 * Errors: MalformedBytes, or what `errorOf` makes of it, where bytes end early or pass a bound.
 */
export class ByteReader {
  readonly buffer: Buffer;
  position: number;
  readonly #what: string;
  readonly #errorOf: ((error: MalformedBytes) => Error) | null;

  /** `what` names the bytes in errors. */
  constructor(
    source: Uint8Array,
    position = 0,
    what = 'a stored value',
    errorOf: ((error: MalformedBytes) => Error) | null = null,
  ) {
    this.buffer = Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.length);
    this.position = position;
    this.#what = what;
    this.#errorOf = errorOf;
  }

  fail(problem: string): never {
    const error = new MalformedBytes(this.#what, problem);
    throw this.#errorOf === null ? error : this.#errorOf(error);
  }

  get remaining(): number {
    return this.buffer.length - this.position;
  }

  #take(bytes: number): number {
    const start = this.position;
    if (bytes < 0 || start + bytes > this.buffer.length) this.fail('the bytes end early');
    this.position = start + bytes;
    return start;
  }

  u8(): number {
    return this.buffer[this.#take(1)]!;
  }

  /** Returns the next byte and stays before it. */
  peek(): number {
    const next = this.u8();
    this.position--;
    return next;
  }

  u16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  u48(): number {
    return this.buffer.readUIntBE(this.#take(6), 6);
  }

  /** Reads an integer within 2^53, of eight bytes at most. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    return this.fail('a varint is too long');
  }

  /** Reads how many items follow, of one byte or more each. */
  count(): number {
    const count = this.varint();
    if (count > listItemsMax || count > this.remaining) this.fail('a list is longer than its message');
    return count;
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.buffer.subarray(start, start + length);
  }

  lengthDelimited(): Buffer {
    return this.bytes(this.varint());
  }

  /** Steps over a length-delimited value and returns where its content begins; it ends at `position`. */
  lengthDelimitedRange(): number {
    return this.#take(this.varint());
  }

  skip(length: number): this {
    this.#take(length);
    return this;
  }

  text(): string {
    const start = this.lengthDelimitedRange();
    return this.buffer.utf8Slice(start, this.position);
  }

  texts(): string[] {
    const count = this.count();
    const texts: string[] = new Array(count);
    for (let index = 0; index < count; index++) texts[index] = this.text();
    return texts;
  }

  ascii(length: number): string {
    const start = this.#take(length);
    return this.buffer.latin1Slice(start, start + length);
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** Checks that all was read. */
  end(): void {
    if (this.position !== this.buffer.length) this.fail('bytes are left over');
  }
}
