/**
 * Cursor-style reading and writing of our own binary formats (keys, values, log entries, frames).
 *
 * Owns: growth, bounds, and byte order: big-endian, so that byte order is numeric order. Texts are
 * length-delimited UTF-8. Refuses: reading past the end.
 */
import { InvariantError } from './invariant.ts';
import { readVarint, varintBytes, varintEnd, varintFault, writeVarint } from './varint.ts';

declare global {
  /** Node's own fast paths, missing from its type declarations. Positions are bytes. */
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    utf8Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
    utf8Write(text: string, offset?: number, length?: number): number;
  }
}

/** `clear` releases larger buffers. */
const keptBytesMax = 4 * 1024 * 1024;
const textLengthBytesMax = 5;

/** A buffer that grows as it is written. */
export class ByteWriter {
  /** Valid up to `length`. Growth replaces it, so do not keep it across calls of `reserve`. */
  buffer: Buffer;
  length = 0;
  readonly #initialBytes: number;

  constructor(initialBytes = 256) {
    this.#initialBytes = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** Ensures capacity for this many more bytes. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  u8(value: number): this {
    this.reserve(1);
    this.buffer[this.length++] = value;
    return this;
  }

  u16(value: number): this {
    this.reserve(2);
    this.buffer[this.length++] = value >>> 8;
    this.buffer[this.length++] = value;
    return this;
  }

  u32(value: number): this {
    this.reserve(4);
    this.length = this.buffer.writeUInt32BE(value >>> 0, this.length);
    return this;
  }

  /** Six bytes: enough for milliseconds and log positions (below 2^48). */
  u48(value: number): this {
    this.reserve(6);
    this.length = this.buffer.writeUIntBE(value, this.length, 6);
    return this;
  }

  /** A whole number below 2^53. */
  varint(value: number): this {
    this.reserve(8);
    if (value < 0x80) this.buffer[this.length++] = value;
    else this.length = writeVarint(this.buffer, this.length, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.reserve(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
    return this;
  }

  /** The bytes `source[start..end)`. */
  raw(source: Buffer, start = 0, end = source.length): this {
    const bytes = end - start;
    this.reserve(bytes);
    source.copy(this.buffer, this.length, start, end);
    this.length += bytes;
    return this;
  }

  /** Like `raw`, faster for some dozens of bytes. */
  few(source: Uint8Array, start: number, end: number): this {
    this.reserve(end - start);
    const { buffer } = this;
    let at = this.length;
    for (let from = start; from < end; from++) buffer[at++] = source[from]!;
    this.length = at;
    return this;
  }

  lengthDelimited(value: Uint8Array): this {
    return this.varint(value.length).bytes(value);
  }

  /** Length-delimited UTF-8. */
  text(value: string): this {
    const { length } = value;
    this.reserve(length * 3 + textLengthBytesMax);
    // Most texts are ASCII: guessing the byte length is faster than computing it first.
    const guess = varintBytes(length);
    const start = this.length + guess;
    const bytes = this.buffer.utf8Write(value, start, length * 3);
    const needed = varintBytes(bytes);
    if (needed !== guess) this.buffer.copyWithin(start + needed - guess, start, start + bytes);
    this.length = writeVarint(this.buffer, this.length, bytes) + bytes;
    return this;
  }

  /** UTF-8 of `bytes` bytes, without a length. */
  utf8(value: string, bytes: number): this {
    this.reserve(bytes);
    this.length += this.buffer.utf8Write(value, this.length, bytes);
    return this;
  }

  /** Without a length. The caller guarantees ASCII. */
  ascii(value: string): this {
    this.reserve(value.length);
    this.length += this.buffer.latin1Write(value, this.length, value.length);
    return this;
  }

  /** Discards the content. */
  clear(): this {
    this.length = 0;
    if (this.buffer.length > keptBytesMax) this.buffer = Buffer.allocUnsafeSlow(this.#initialBytes);
    return this;
  }

  /** Returns the content, valid until the next write. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** Returns a copy of the content and empties the writer. */
  finish(): Buffer {
    const result = Buffer.allocUnsafe(this.length);
    this.buffer.copy(result, 0, 0, this.length);
    this.length = 0;
    return result;
  }
}

const sharedWriters: ByteWriter[] = [];

/** Returns a writer for the life of its module, which uses it for one value after another. */
export function sharedWriter(initialBytes: number): ByteWriter {
  const writer = new ByteWriter(initialBytes);
  sharedWriters.push(writer);
  return writer;
}

/** Drops what shared writers hold, after an exception that may have left a value half written. */
export function clearSharedWriters(): void {
  for (const writer of sharedWriters) writer.clear();
}

/** True when the bytes at `a[aAt..]` and `b[bAt..]` are equal. Fast for few bytes. */
export function isSameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, bytes: number): boolean {
  for (let index = 0; index < bytes; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

/** True when `bytes` are at `source[at..]`. */
export function hasBytesAt(source: Uint8Array, at: number, bytes: Uint8Array): boolean {
  return isSameBytes(source, at, bytes, 0, bytes.length);
}

/** Copies the characters `text[start..end)` to `into[at..]`; non-ASCII ones become 0. */
export function copyAscii(text: string, start: number, end: number, into: Uint8Array, at: number): void {
  for (let from = start, to = at; from < end; from++) {
    const code = text.charCodeAt(from);
    into[to++] = code < 128 ? code : 0;
  }
}

/** Bytes that do not match their format. From a peer it fails the call; else we are corrupt. */
export class MalformedBytes extends InvariantError {
  override readonly name: string = 'MalformedBytes';
  /** The kind of value: a message, a row, an entry. */
  readonly what: string;

  constructor(what: string, problem: string) {
    super(`${what}: ${problem}`);
    this.what = what;
  }
}

/** Bytes of another format version: another build of ours can read them. */
export class UnknownVersion extends MalformedBytes {
  override readonly name = 'UnknownVersion';
}

/** Returns the result of `decode`, or the MalformedBytes that it threw. Rethrows other errors. */
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
 * Errors: MalformedBytes, or what `errorOf` makes of it, when bytes end early or exceed a limit.
 */
export class ByteReader {
  buffer: Buffer;
  position: number;
  #isOwn = false;
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

  /** Makes the bytes a copy of the reader's own, since their memory is reused. Returns them. */
  own(): Buffer {
    if (!this.#isOwn) this.buffer = Buffer.from(this.buffer);
    this.#isOwn = true;
    return this.buffer;
  }

  fail(problem: string): never {
    const error = new MalformedBytes(this.#what, problem);
    throw this.#errorOf === null ? error : this.#errorOf(error);
  }

  /** Refuses bytes of another format version. */
  failVersion(): never {
    const error = new UnknownVersion(this.#what, 'of an unknown format version');
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

  /** Returns the next byte without advancing. */
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

  /** Reads a whole number below 2^53. */
  varint(): number {
    const { buffer, position } = this;
    // Numbers of one byte, which nearly all are, are read here: a call each costs as much again.
    const first = position < buffer.length ? buffer[position]! : 0x80;
    if (first >= 0x80) return this.#longVarint();
    this.position = position + 1;
    return first;
  }

  #longVarint(): number {
    const value = readVarint(this.buffer, this.position, this.buffer.length);
    if (value < 0 || value > Number.MAX_SAFE_INTEGER)
      this.fail(value === varintFault.cut ? 'the bytes end early' : 'a varint is too long');
    this.position = varintEnd();
    return value;
  }

  /** Reads the number of items that follow, of at least one byte each. */
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

  /** Skips a length-delimited value. Returns where its content starts; it ends at `position`. */
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

  /** Checks that everything was read. */
  end(): void {
    if (this.position !== this.buffer.length) this.fail('bytes are left over');
  }
}
