/**
 * Top-level fields of protobuf bytes, for a router that copies slices without decoding them.
 *
 * Owns: finding where fields begin and end, and writing tags and lengths. A nested message is a
 * slice, parsed only if a scanner is set on it. Refuses: groups, bytes that end early, and more
 * than fieldsMax fields.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readVarint, varintBytes, varintEnd, varintFault, writeVarint } from '../base/varint.ts';
import { fieldNumber } from './generated/bsky-service.ts';
import { fieldsMax, tooManyFields, wireType } from './message-decoder.ts';

/** Answers of our own processes may have more fields than requests; this fits a small integer. */
const answerFieldsMax = 2 ** 30 - 1;

/** The name of a message that has fields. */
export type NumberedMessage = keyof typeof fieldNumber;

export type FieldName<Message extends NumberedMessage> = keyof (typeof fieldNumber)[Message] & string;

/** A field of a message; errors call it by its path. */
export type NamedField = { readonly number: number; readonly path: string };

/** Returns the number and the path of a field. */
export function fieldOf<Message extends NumberedMessage>(message: Message, field: FieldName<Message>): NamedField {
  const numbers: Readonly<Record<string, number>> = fieldNumber[message];
  return { number: numbers[field]!, path: `${message}.${field}` };
}

/** Returns a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Walks over the fields of a message; the properties are those of the current field.
 *
 * `start` and `end` enclose the encoded value, for a length-delimited field without its length.
 */
export class FieldScanner {
  number = 0;
  wire = 0;
  /** Where the field begins, tag included. */
  tagStart = 0;
  start = 0;
  end = 0;
  #buffer: Buffer;
  #position: number;
  #limit: number;
  /** How many more fields it may pass, over all bytes it is set on. */
  #fieldsLeft: number;
  readonly #path: string;
  readonly #code: 'InvalidArgument' | 'Internal';

  /** `path` names the message in errors; `code` is `Internal` for bytes from our own processes. */
  constructor(
    buffer: Buffer,
    path: string,
    start = 0,
    end = buffer.length,
    code: 'InvalidArgument' | 'Internal' = 'InvalidArgument',
  ) {
    this.#code = code;
    this.#fieldsLeft = code === 'Internal' ? answerFieldsMax : fieldsMax;
    this.#buffer = buffer;
    this.#path = path;
    this.#position = start;
    this.#limit = end;
  }

  /** Points the scanner at other bytes. */
  reset(buffer: Buffer, start: number, end: number): this {
    this.#buffer = buffer;
    this.#position = start;
    this.#limit = end;
    return this;
  }

  #fail(problem: string): never {
    throw new DataPlaneError(this.#code, `${this.#path}: ${problem}`);
  }

  #varint(): number {
    const value = readVarint(this.#buffer, this.#position, this.#limit);
    if (value < 0) {
      this.#fail(value === varintFault.cut ? 'the bytes end early' : 'a varint is longer than ten bytes');
    }
    this.#position = varintEnd();
    return value;
  }

  /** Moves to the next field; false at the end. */
  next(): boolean {
    if (this.#position >= this.#limit) return false;
    if (--this.#fieldsLeft < 0) throw tooManyFields(this.#path);
    this.tagStart = this.#position;
    // Numbers of one byte, which nearly all are, are read here: a call each costs as much again.
    const first = this.#buffer[this.#position]!;
    const tag = first < 0x80 ? first : this.#varint();
    if (first < 0x80) this.#position++;
    this.number = Math.floor(tag / 8);
    this.wire = tag & 7;
    if (this.number === 0) this.#fail('a field has the number 0');
    if (this.wire === wireType.lengthDelimited) {
      const second = this.#position < this.#limit ? this.#buffer[this.#position]! : 0x80;
      const length = second < 0x80 ? second : this.#varint();
      if (second < 0x80) this.#position++;
      this.start = this.#position;
      this.end = this.start + length;
    } else {
      this.start = this.#position;
      if (this.wire === wireType.varint) {
        this.#varint();
        this.end = this.#position;
      } else if (this.wire === wireType.fixed64) this.end = this.start + 8;
      else if (this.wire === wireType.fixed32) this.end = this.start + 4;
      else this.#fail(`wire type ${this.wire} is not part of the service`);
    }
    if (this.end > this.#limit) this.#fail('the bytes end early');
    this.#position = this.end;
    return true;
  }

  /** Moves to the next length-delimited field of this number; false at the end. */
  nextOf(number: number): boolean {
    while (this.next()) if (this.number === number && this.wire === wireType.lengthDelimited) return true;
    return false;
  }

  /** Moves to the last length-delimited field of this number, which wins, or to an empty range. */
  lastOf(number: number): void {
    let start = this.#position;
    let end = start;
    while (this.nextOf(number)) {
      start = this.start;
      end = this.end;
    }
    this.start = start;
    this.end = end;
  }
}

/** Up to this a loop copies faster than a call. Units: bytes. */
const loopCopyBytesMax = 48;

/** Copies `from[start..end)` and returns the position after the copy. */
export function copyBytes(into: Buffer, position: number, from: Buffer, start: number, end: number): number {
  if (end - start > loopCopyBytesMax) {
    from.copy(into, position, start, end);
    return position + end - start;
  }
  let at = position;
  for (let index = start; index < end; index++) into[at++] = from[index]!;
  return at;
}

/** Encodes a length-delimited field. */
export function lengthDelimitedField(number: number, content: Uint8Array): Buffer {
  const head = varintBytes(number * 8 + wireType.lengthDelimited) + varintBytes(content.length);
  const field = Buffer.allocUnsafe(head + content.length);
  const position = writeVarint(field, writeVarint(field, 0, number * 8 + wireType.lengthDelimited), content.length);
  field.set(content, position);
  return field;
}
