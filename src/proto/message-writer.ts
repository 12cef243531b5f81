/**
 * Writes protobuf into one growing buffer, without an object for each item.
 *
 * Owns: tags and length prefixes. A nested message begins with a guess of the bytes that its length
 * takes; `end` moves the content if the guess was wrong.
 */
import { ByteWriter } from '../base/bytes.ts';
import { varint64BytesMax, varintBytes, writeNegativeVarint, writeVarint } from '../base/varint.ts';
import { timestampField, wireType } from './message-decoder.ts';

const { lengthDelimited } = wireType;

export class MessageWriter extends ByteWriter {
  constructor(initialBytes = 64 * 1024) {
    super(initialBytes);
  }

  /** Writes a boolean field that is true. */
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

  /** Begins a length and its content; `lengthBytes` is a guess. Returns the start, for `end`. */
  beginLengthDelimited(lengthBytes = 1): number {
    this.reserve(lengthBytes);
    this.length += lengthBytes;
    return this.length;
  }

  /** Begins a length-delimited field; `lengthBytes` is a guess. Returns the start, for `end`. */
  begin(number: number, lengthBytes: number): number {
    this.varint(number * 8 + lengthDelimited);
    return this.beginLengthDelimited(lengthBytes);
  }

  /** Ends content that began with the same guess. Returns its length's bytes: the next guess. */
  end(start: number, lengthBytes: number): number {
    const content = this.length - start;
    if (lengthBytes === 2 && content >= 0x80 && content < 0x4000) {
      this.buffer[start - 2] = (content & 0x7f) | 0x80;
      this.buffer[start - 1] = content >>> 7;
      return 2;
    }
    const needed = varintBytes(content);
    if (needed !== lengthBytes) {
      this.reserve(needed);
      this.buffer.copyWithin(start + needed - lengthBytes, start, this.length);
      this.length += needed - lengthBytes;
    }
    writeVarint(this.buffer, start - lengthBytes, content);
    return needed;
  }

  /** Writes a bytes field, even if empty. */
  bytesField(number: number, source: Buffer, start = 0, end = source.length): void {
    this.varint(number * 8 + lengthDelimited);
    this.varint(end - start);
    this.raw(source, start, end);
  }

  /** Writes a string field, even if empty, as the items of repeated fields need. */
  textField(number: number, text: string): void {
    this.varint(number * 8 + lengthDelimited);
    this.text(text);
  }

  /** Writes a string field; the default is left out. */
  optionalTextField(number: number, text: string): void {
    if (text !== '') this.textField(number, text);
  }

  /** Writes a google.protobuf.Timestamp field. Units: ms since 1970. */
  timeField(number: number, timeMs: number): void {
    this.varint(number * 8 + lengthDelimited);
    this.timestamp(timeMs);
  }

  /** Writes a google.protobuf.Timestamp with its length. Units: ms since 1970. */
  timestamp(timeMs: number): void {
    const seconds = Math.floor(timeMs / 1000);
    const start = this.beginLengthDelimited();
    if (seconds !== 0) {
      this.varint(timestampField.seconds * 8);
      this.int64(seconds);
    }
    this.numberField(timestampField.nanos, Math.round((timeMs - seconds * 1000) * 1_000_000));
    this.end(start, 1);
  }

  /** Writes an int32 or int64; a negative one is two's complement in ten bytes. */
  int64(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    this.reserve(varint64BytesMax);
    this.length = writeNegativeVarint(this.buffer, this.length, value);
  }

  double(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }
}
