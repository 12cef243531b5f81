/**
 * Writes protobuf into one growing buffer, without an object for each item.
 *
 * Owns: tags and length prefixes. A nested message is begun with a guess of how many bytes its length
 * takes; `end` moves the message when the guess was wrong. Strings that keys hold in compact form are
 * rendered in place by `key-text.ts`.
 */
import { ByteWriter } from '../base/bytes.ts';
import { varintBytes, writeVarint } from '../base/varint.ts';
import { wireType } from './message-decoder.ts';

const { lengthDelimited } = wireType;

export class MessageWriter extends ByteWriter {
  constructor(initialBytes = 64 * 1024) {
    super(initialBytes);
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

  /** Begins a length and its content, with a guess of how many bytes the length takes. Returns what `end` needs. */
  beginLengthDelimited(lengthBytes = 1): number {
    this.reserve(lengthBytes);
    this.length += lengthBytes;
    return this.length;
  }

  /** Begins a length-delimited field. Returns what `end` needs. `lengthBytes` is the guess. */
  begin(number: number, lengthBytes: number): number {
    this.varint(number * 8 + lengthDelimited);
    return this.beginLengthDelimited(lengthBytes);
  }

  /** Ends what was begun with the same guess. Returns how many bytes the length took, to be the next guess. */
  end(start: number, lengthBytes: number): number {
    const content = this.length - start;
    const needed = content < 0x80 ? 1 : varintBytes(content);
    if (needed !== lengthBytes) {
      this.reserve(needed);
      this.buffer.copyWithin(start + needed - lengthBytes, start, this.length);
      this.length += needed - lengthBytes;
    }
    writeVarint(this.buffer, start - lengthBytes, content);
    return needed;
  }

  /** Writes a length-delimited field of bytes, empty ones too. */
  bytesField(number: number, source: Buffer, start = 0, end = source.length): void {
    this.varint(number * 8 + lengthDelimited);
    this.varint(end - start);
    this.raw(source, start, end);
  }

  /** Writes a string field, empty ones too: the items of repeated fields keep their order. */
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
      this.varint(8);
      this.int64(seconds);
    }
    this.numberField(2, Math.round((timeMs - seconds * 1000) * 1_000_000));
    this.end(start, 1);
  }

  /** Writes a whole number as int32 and int64 are: a negative one as two's complement in ten bytes. */
  int64(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    this.reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.buffer[this.length++] = Number(rest & 0x7fn) | 0x80;
    this.buffer[this.length++] = Number(rest);
  }

  double(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }
}
