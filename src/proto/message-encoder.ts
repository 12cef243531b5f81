/**
 * Turns plain objects into protobuf bytes, by closures compiled once for each message type.
 *
 * Owns: growth of the output and the choice of what is left out (proto3 defaults). Fields are
 * written ascending by number, repeated numbers packed. A length prefix is guessed from the last
 * one of the same field and moved only when it does not fit.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { fieldsByMessage, type MessageName } from './generated/bsky-service.ts';
import { type AnyMessage, wireType } from './message-decoder.ts';
import type { FieldSchema } from './schema.ts';

/** Writes the fields of one message. */
export type Encoder = (sink: Sink, message: AnyMessage) => void;
type FieldWriter = (sink: Sink, value: unknown) => void;

/** Buffers above this are given back after use. Units: bytes. */
const keptBytesMax = 4 * 1024 * 1024;

/** A growing output that is used again for the next message. */
export class Sink {
  #buffer = Buffer.allocUnsafeSlow(16 * 1024);
  #length = 0;

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  reset(): void {
    this.#length = 0;
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafeSlow(16 * 1024);
  }

  /** Returns a copy of what was written. */
  copy(): Buffer {
    const result = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(result, 0, 0, this.#length);
    return result;
  }

  /** Writes an unsigned 32-bit varint. */
  uint32(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Writes a signed integer up to 2^53 as int32 and int64 do: negative ones take ten bytes. */
  integer(value: number): void {
    if (value >= 0 && value <= 0x7fffffff) {
      this.uint32(value);
      return;
    }
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.#reserve(value.length * 3 + 5);
    const start = this.#length;
    const guess = varintBytes(value.length);
    const written = this.#buffer.utf8Write(value, start + guess, value.length * 3);
    this.#length = start + guess + written;
    this.#placeLength(start, guess, written);
  }

  /**
   * Writes a length-delimited value of unknown length. Returns the bytes that its length took, to
   * be the next guess.
   */
  lengthDelimited(guess: number, write: () => void): number {
    this.#reserve(guess);
    const start = this.#length;
    this.#length += guess;
    write();
    return this.#placeLength(start, guess, this.#length - start - guess);
  }

  #placeLength(start: number, guess: number, length: number): number {
    const needed = varintBytes(length);
    if (needed !== guess) {
      this.#reserve(needed);
      this.#buffer.copyWithin(start + needed, start + guess, start + guess + length);
      this.#length += needed - guess;
    }
    const end = this.#length;
    this.#length = start;
    this.uint32(length);
    this.#length = end;
    return needed;
  }
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function writeTimestamp(sink: Sink, value: unknown): void {
  const ms = value as number;
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1_000_000);
  sink.lengthDelimited(1, () => {
    if (seconds !== 0) {
      sink.uint32(8);
      sink.integer(seconds);
    }
    if (nanos !== 0) {
      sink.uint32(16);
      sink.integer(nanos);
    }
  });
}

function wireTypeOf([, , , type]: FieldSchema): number {
  if (type === 'double') return wireType.fixed64;
  return type === 'bool' || type === 'int32' || type === 'int64' || type === 'enum'
    ? wireType.varint
    : wireType.lengthDelimited;
}

/** Returns the writer of one value of a field, without its tag. */
function valueWriter(field: FieldSchema, encoderOf: (name: MessageName) => Encoder): FieldWriter {
  const [, , , type, , of] = field;
  switch (type) {
    case 'string':
      return (sink, value) => sink.text(value as string);
    case 'bytes':
      return (sink, value) => sink.bytes(value as Uint8Array);
    case 'bool':
      return (sink, value) => sink.uint32(value === true ? 1 : 0);
    case 'int32':
    case 'int64':
    case 'enum':
      return (sink, value) => sink.integer(value as number);
    case 'double':
      return (sink, value) => sink.double(value as number);
    case 'timestamp':
      return writeTimestamp;
    case 'message':
    case 'map': {
      let encode: Encoder | undefined;
      let guess = 1;
      return (sink, value) => {
        encode ??= encoderOf(of as MessageName);
        const inner = encode;
        guess = sink.lengthDelimited(guess, () => inner(sink, value as AnyMessage));
      };
    }
  }
}

function repeatedWriter(tag: number, wire: number, packedTag: number, write: FieldWriter): FieldWriter {
  if (wire === wireType.lengthDelimited) {
    return (sink, value) => {
      for (const item of value as readonly unknown[]) {
        sink.uint32(tag);
        write(sink, item);
      }
    };
  }
  return (sink, value) => {
    const items = value as readonly unknown[];
    if (items.length === 0) return;
    sink.uint32(packedTag);
    sink.lengthDelimited(1, () => {
      for (const item of items) write(sink, item);
    });
  };
}

function mapWriter(tag: number, write: FieldWriter): FieldWriter {
  return (sink, value) => {
    for (const [name, item] of value as ReadonlyMap<string, unknown>) {
      sink.uint32(tag);
      sink.lengthDelimited(1, () => {
        sink.uint32(10);
        sink.text(name);
        sink.uint32(18);
        write(sink, item);
      });
    }
  };
}

function isDefault(value: unknown): boolean {
  if (value === '' || value === false) return true;
  if (typeof value === 'number') return Object.is(value, 0);
  return value instanceof Uint8Array && value.length === 0;
}

function fieldWriter(field: FieldSchema, encoderOf: (name: MessageName) => Encoder): FieldWriter {
  const [number, , , type, label] = field;
  const wire = wireTypeOf(field);
  const tag = number * 8 + wire;
  const write = valueWriter(field, encoderOf);
  if (label === 'repeated') return repeatedWriter(tag, wire, number * 8 + wireType.lengthDelimited, write);
  if (type === 'map') return mapWriter(tag, write);
  const isAlwaysWritten = label === 'optional' || type === 'message' || type === 'timestamp';
  return (sink, value) => {
    if (!isAlwaysWritten && isDefault(value)) return;
    sink.uint32(tag);
    write(sink, value);
  };
}

/**
 * Compiles the encoder of one message type. Values must be of the types of the schema; absent
 * fields are left out.
 */
export function compileEncoder(name: MessageName, encoderOf: (name: MessageName) => Encoder): Encoder {
  const writers = fieldsByMessage[name].map((field) => ({
    key: field[2],
    write: fieldWriter(field, encoderOf),
    isInteger: field[3] === 'int32' || field[3] === 'int64',
  }));
  return (sink, message) => {
    for (const { key, write, isInteger } of writers) {
      const value = message[key];
      if (value === undefined) continue;
      if (isInteger && typeof value === 'number' && !Number.isSafeInteger(value)) {
        throw new DataPlaneError('Internal', `${name}.${key}: ${value} is not an integer`);
      }
      write(sink, value);
    }
  };
}
