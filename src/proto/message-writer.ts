/**
 * Writes protobuf answers straight into one growing buffer, without an object for each item.
 *
 * Owns: growth, tags, length prefixes of nested messages. A nested message is begun with a guess of
 * how many bytes its length takes; `end` moves it when the guess was wrong. Strings that keys hold
 * in compact form are rendered in place by `key-text.ts`.
 */
const lengthDelimited = 2;
const initialBytes = 64 * 1024;
/** Buffers above this are given back after use. Units: bytes. */
const keptBytesMax = 4 * 1024 * 1024;

export class MessageWriter {
  /**
   * Valid up to `length`; replaced when it grows, so it must not be kept across calls of `reserve`.
   */
  buffer = Buffer.allocUnsafeSlow(initialBytes);
  length = 0;

  /** Makes room for this many more bytes. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  /** Starts an answer. */
  clear(): this {
    this.length = 0;
    if (this.buffer.length > keptBytesMax) this.buffer = Buffer.allocUnsafeSlow(initialBytes);
    return this;
  }

  /** Returns the answer, which is valid until the next one begins. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** Returns a copy of the answer. */
  copy(): Buffer {
    const result = Buffer.allocUnsafe(this.length);
    this.buffer.copy(result, 0, 0, this.length);
    return result;
  }

  /** Writes a non-negative integer within 2^53. */
  varint(value: number): void {
    this.reserve(8);
    if (value < 0x80) {
      this.buffer[this.length++] = value;
      return;
    }
    let rest = value;
    // Shifts are faster than divisions, and right once what is left fits 31 bits.
    while (rest > 0x7fff_ffff) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.length++] = rest;
  }

  /** Writes a field that holds true. */
  trueField(number: number): void {
    this.varint(number * 8);
    this.varint(1);
  }

  /** Writes an integer field; the default is left out. */
  numberField(number: number, value: number): void {
    if (value === 0) return;
    this.varint(number * 8);
    this.varint(value);
  }

  /**
   * Begins a length and its content without a tag, with a guess of one byte for the length. Returns
   * what `end` needs.
   */
  beginLengthDelimited(): number {
    this.reserve(1);
    return ++this.length;
  }

  /** Begins a length-delimited field. Returns what `end` needs. `lengthBytes` is the guess. */
  begin(number: number, lengthBytes: 1 | 2): number {
    this.varint(number * 8 + lengthDelimited);
    this.reserve(lengthBytes);
    this.length += lengthBytes;
    return this.length;
  }

  /** Ends a length-delimited field that was begun with the same guess. */
  end(start: number, lengthBytes: 1 | 2): void {
    const content = this.length - start;
    const needed = content < 0x80 ? 1 : content < 0x4000 ? 2 : content < 0x20_0000 ? 3 : 4;
    if (needed !== lengthBytes) {
      this.reserve(4);
      this.buffer.copyWithin(start + needed - lengthBytes, start, this.length);
      this.length += needed - lengthBytes;
    }
    let at = start - lengthBytes;
    let rest = content;
    while (rest >= 0x80) {
      this.buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[at] = rest;
  }

  /** Copies bytes as they are. */
  raw(source: Buffer, start = 0, end = source.length): void {
    const bytes = end - start;
    this.reserve(bytes);
    source.copy(this.buffer, this.length, start, end);
    this.length += bytes;
  }

  /** Writes a length-delimited field of bytes, empty ones too. */
  bytesField(number: number, source: Buffer, start = 0, end = source.length): void {
    this.varint(number * 8 + lengthDelimited);
    this.varint(end - start);
    this.raw(source, start, end);
  }

  /** Writes a string field, empty ones too: the items of repeated fields keep their order. */
  textField(number: number, text: string): void {
    const bytes = Buffer.byteLength(text);
    this.varint(number * 8 + lengthDelimited);
    this.varint(bytes);
    this.reserve(bytes);
    this.length += this.buffer.utf8Write(text, this.length, bytes);
  }

  /** Writes a string field; the default is left out. */
  optionalTextField(number: number, text: string): void {
    if (text !== '') this.textField(number, text);
  }

  /** Writes ASCII without tag and length. */
  ascii(text: string): void {
    this.reserve(text.length);
    this.length += this.buffer.latin1Write(text, this.length, text.length);
  }

  /** Writes a google.protobuf.Timestamp field. Units: ms since 1970. */
  timeField(number: number, timeMs: number): void {
    this.reserve(32);
    const seconds = Math.floor(timeMs / 1000);
    const start = this.begin(number, 1);
    if (seconds < 0) this.#negative(seconds);
    else this.numberField(1, seconds);
    this.numberField(2, (timeMs - seconds * 1000) * 1_000_000);
    this.end(start, 1);
  }

  /** Two's complement in ten bytes, as int64 has negative numbers. */
  #negative(seconds: number): void {
    this.varint(8);
    let rest = BigInt.asUintN(64, BigInt(seconds));
    for (; rest >= 0x80n; rest >>= 7n) this.buffer[this.length++] = Number(rest & 0x7fn) | 0x80;
    this.buffer[this.length++] = Number(rest);
  }
}
