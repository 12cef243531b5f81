/**
 * Turns protobuf bytes into plain objects, with closures compiled once for each message type.
 *
 * Owns: limits (nesting, fields) and the field path in errors. Unknown fields
 * are skipped. Refuses: groups, a known field of another wire type, integers beyond 2^53.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { fieldsByMessage, type MessageName } from './generated/bsky-service.ts';
import type { FieldSchema } from './schema.ts';

/** Messages that nest deeper are refused. */
export const nestingDepthMax = 16;
/**
 * The most fields of a message, known or not, with those of messages in it and packed items: a
 * small body must neither become a huge object nor hold the thread that reads it.
 */
export const fieldsMax = 200_000;

/** The error of a message with more fields. */
export function tooManyFields(path: string): DataPlaneError {
  return new DataPlaneError('ResourceExhausted', `${path}: more than fieldsMax = ${fieldsMax} fields`);
}

export const wireType = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;
/** The fields of google.protobuf.Timestamp, both varints. */
export const timestampField = { seconds: 1, nanos: 2 } as const;
const secondsTag = timestampField.seconds * 8;
const nanosTag = timestampField.nanos * 8;

/** A message whose keys are the lower-camel names of the schema. */
export type AnyMessage = { [key: string]: unknown };

/** Decodes a message that ends at `end` of the source. */
export type Decoder = (source: Source, end: number) => AnyMessage;
type FieldReader = (source: Source, message: AnyMessage, wire: number) => void;
type ValueReader = (source: Source) => unknown;

/** The bytes of a message, the position in them, and the end of the message that is being read. */
export class Source {
  readonly buffer: Buffer;
  position = 0;
  end: number;
  depth = 0;
  /** The `Message.field` that is being read, for error messages. */
  path = 'message';
  #fields = 0;
  /** The words of the last varint. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.end = bytes.length;
  }

  fail(problem: string): never {
    throw new DataPlaneError('InvalidArgument', `${this.path}: ${problem}`);
  }

  countField(): void {
    if (++this.#fields > fieldsMax) throw tooManyFields(this.path);
  }

  /** Reads the tag of a field: its number and its wire type. */
  tag(): number {
    this.countField();
    return this.int32() >>> 0;
  }

  byte(): number {
    if (this.position >= this.end) this.fail('the bytes end early');
    return this.buffer[this.position++]!;
  }

  /** Reads a varint of 64 bits into its two words. */
  #varint(): void {
    this.#low = 0;
    this.#high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      const bits = byte & 0x7f;
      if (shift < 32) this.#low |= bits << shift;
      if (shift === 28) this.#high = bits >>> 4;
      else if (shift > 28) this.#high |= bits << (shift - 32);
      if (byte < 0x80) return;
    }
    this.fail('a varint is longer than ten bytes');
  }

  /** Reads a varint and takes its low 32 bits, as int32 and enum do. */
  int32(): number {
    this.#varint();
    return this.#low;
  }

  bool(): boolean {
    this.#varint();
    return (this.#low | this.#high) !== 0;
  }

  int64(): number {
    this.#varint();
    const value = this.#high * 2 ** 32 + (this.#low >>> 0);
    return Number.isSafeInteger(value) ? value : this.fail('an integer is beyond 2^53');
  }

  double(): number {
    const start = this.take(8);
    return this.buffer.readDoubleLE(start);
  }

  /** Reads a length and returns the end of the value after it. */
  lengthDelimitedEnd(): number {
    this.#varint();
    if (this.#high !== 0) this.fail('a length is too great');
    const end = this.position + (this.#low >>> 0);
    if (end > this.end) this.fail('the bytes end early');
    return end;
  }

  take(bytes: number): number {
    const start = this.position;
    if (start + bytes > this.end) this.fail('the bytes end early');
    this.position = start + bytes;
    return start;
  }

  text(): string {
    const end = this.lengthDelimitedEnd();
    const start = this.position;
    this.position = end;
    return this.buffer.utf8Slice(start, end);
  }

  /** Aliases the source. */
  bytes(): Buffer {
    const end = this.lengthDelimitedEnd();
    const start = this.position;
    this.position = end;
    return this.buffer.subarray(start, end);
  }

  skip(wire: number): void {
    if (wire === wireType.varint) this.bool();
    else if (wire === wireType.lengthDelimited) this.position = this.lengthDelimitedEnd();
    else if (wire === wireType.fixed64) this.take(8);
    else if (wire === wireType.fixed32) this.take(4);
    else this.fail(`wire type ${wire} is not part of the service`);
  }
}

function readTimestampMs(source: Source): number {
  const end = source.lengthDelimitedEnd();
  const outerEnd = source.end;
  source.end = end;
  let seconds = 0;
  let nanos = 0;
  while (source.position < end) {
    const tag = source.tag();
    if (tag === secondsTag) seconds = source.int64();
    else if (tag === nanosTag) nanos = source.int32();
    else source.skip(tag & 7);
  }
  source.end = outerEnd;
  const ms = seconds * 1000 + Math.floor(nanos / 1_000_000);
  if (Math.abs(ms) > 8.64e15) source.fail('a timestamp is out of range');
  return ms;
}

function readNested(source: Source, decode: Decoder): AnyMessage {
  const end = source.lengthDelimitedEnd();
  const outerEnd = source.end;
  const path = source.path;
  if (++source.depth > nestingDepthMax) source.fail(`messages nest deeper than ${nestingDepthMax}`);
  source.end = end;
  const value = decode(source, end);
  source.end = outerEnd;
  source.path = path;
  source.depth--;
  return value;
}

/** Returns the wire type of a field and the function that reads one value. */
function valueReader(
  field: FieldSchema,
  decoderOf: (name: MessageName) => Decoder,
): { wire: number; read: ValueReader } {
  const [, , , type, , of] = field;
  switch (type) {
    case 'string':
      return { wire: wireType.lengthDelimited, read: (source) => source.text() };
    case 'bytes':
      return { wire: wireType.lengthDelimited, read: (source) => source.bytes() };
    case 'bool':
      return { wire: wireType.varint, read: (source) => source.bool() };
    case 'int32':
    case 'enum':
      return { wire: wireType.varint, read: (source) => source.int32() };
    case 'int64':
      return { wire: wireType.varint, read: (source) => source.int64() };
    case 'double':
      return { wire: wireType.fixed64, read: (source) => source.double() };
    case 'timestamp':
      return { wire: wireType.lengthDelimited, read: readTimestampMs };
    case 'message':
    case 'map': {
      let decode: Decoder | undefined;
      return {
        wire: wireType.lengthDelimited,
        read: (source) => {
          decode ??= decoderOf(of as MessageName);
          return readNested(source, decode);
        },
      };
    }
  }
}

function appendItem(message: AnyMessage, key: string, item: unknown): void {
  const items = message[key] as unknown[];
  if (items === noItems) message[key] = [item];
  else items.push(item);
}

/** The value of repeated fields without items; frozen, since all messages share it. */
const noItems: readonly unknown[] = Object.freeze([]);

function repeatedReader(field: FieldSchema, decoderOf: (name: MessageName) => Decoder): FieldReader {
  const key = field[2];
  const { wire, read } = valueReader(field, decoderOf);
  return (source, message, actual) => {
    if (actual === wire) return appendItem(message, key, read(source));
    if (actual !== wireType.lengthDelimited) source.fail(`wire type ${actual} does not fit`);
    const end = source.lengthDelimitedEnd();
    while (source.position < end) {
      source.countField();
      appendItem(message, key, read(source));
    }
    if (source.position !== end) source.fail('a packed item passes the end of its list');
  };
}

/** A map is encoded as repeated pairs: the key is field 1, the value field 2. */
function mapReader(field: FieldSchema, decoderOf: (name: MessageName) => Decoder): FieldReader {
  const key = field[2];
  const { read } = valueReader(field, decoderOf);
  const blank = new Source(new Uint8Array([0]));
  return (source, message, actual) => {
    if (actual !== wireType.lengthDelimited) source.fail(`wire type ${actual} does not fit`);
    const end = source.lengthDelimitedEnd();
    let name = '';
    let value: unknown;
    while (source.position < end) {
      const tag = source.tag();
      if (tag === 10) name = source.text();
      else if (tag === 18) value = read(source);
      else source.skip(tag & 7);
    }
    if (source.position !== end) source.fail('a map pair passes its end');
    if (value === undefined) {
      blank.position = 0;
      value = read(blank);
    }
    (message[key] as Map<string, unknown>).set(name, value);
  };
}

function fieldReader(field: FieldSchema, decoderOf: (name: MessageName) => Decoder): FieldReader {
  const [, , key, type, label] = field;
  if (label === 'repeated') return repeatedReader(field, decoderOf);
  if (type === 'map') return mapReader(field, decoderOf);
  const { wire, read } = valueReader(field, decoderOf);
  return (source, message, actual) => {
    if (actual !== wire) source.fail(`wire type ${actual} does not fit`);
    message[key] = read(source);
  };
}

function defaultOf([, , , type, label]: FieldSchema): unknown {
  if (label === 'repeated') return noItems;
  if (label === 'optional' || type === 'message' || type === 'timestamp' || type === 'map') return undefined;
  if (type === 'string') return '';
  if (type === 'bytes') return noBytes;
  return type === 'bool' ? false : 0;
}

const noBytes = Buffer.alloc(0);

/** Compiles a decoder. Nested ones are compiled on first use, so message types may be recursive. */
export function compileDecoder(name: MessageName, decoderOf: (name: MessageName) => Decoder): Decoder {
  const fields = fieldsByMessage[name];
  const blank = Object.fromEntries(fields.map((field) => [field[2], defaultOf(field)]));
  const mapKeys = fields.filter((field) => field[3] === 'map').map((field) => field[2]);
  const readers: (FieldReader | undefined)[] = [];
  const paths: string[] = [];
  for (const field of fields) {
    readers[field[0]] = fieldReader(field, decoderOf);
    paths[field[0]] = `${name}.${field[1]}`;
  }
  return (source, end) => {
    const message: AnyMessage = { ...blank };
    for (const key of mapKeys) message[key] = new Map();
    while (source.position < end) {
      source.path = name;
      const tag = source.tag();
      const number = tag >>> 3;
      const read = readers[number];
      if (read === undefined) {
        if (number === 0) source.fail('a field has the number 0');
        source.skip(tag & 7);
        continue;
      }
      source.path = paths[number]!;
      read(source, message, tag & 7);
    }
    invariant(source.position === end, 'a decoder stops where its message ends');
    return message;
  };
}
