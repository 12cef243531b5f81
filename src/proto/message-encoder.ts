/**
 * Turns plain objects into protobuf bytes, with closures compiled once for each message type.
 *
 * Fields are written in ascending order, repeated numbers packed, proto3 defaults not at all. The
 * bytes reserved for a length are those of the field's last one; content moves if it does not fit.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { fieldsByMessage, type MessageName } from './generated/bsky-service.ts';
import { type AnyMessage, wireType } from './message-decoder.ts';
import type { MessageWriter } from './message-writer.ts';
import type { FieldSchema } from './schema.ts';

export type Encoder = (into: MessageWriter, message: AnyMessage) => void;
type FieldWriter = (into: MessageWriter, value: unknown) => void;

function wireTypeOf([, , , type]: FieldSchema): number {
  if (type === 'double') return wireType.fixed64;
  return type === 'bool' || type === 'int32' || type === 'int64' || type === 'enum'
    ? wireType.varint
    : wireType.lengthDelimited;
}

/** Returns the function that writes one value of a field, without its tag. */
function valueWriter(field: FieldSchema, encoderOf: (name: MessageName) => Encoder): FieldWriter {
  const [, , , type, , of] = field;
  switch (type) {
    case 'string':
      return (into, value) => into.text(value as string);
    case 'bytes':
      return (into, value) => into.lengthDelimited(value as Uint8Array);
    case 'bool':
      return (into, value) => into.varint(value === true ? 1 : 0);
    case 'int32':
    case 'int64':
    case 'enum':
      return (into, value) => into.int64(value as number);
    case 'double':
      return (into, value) => into.double(value as number);
    case 'timestamp':
      return (into, value) => into.timestamp(value as number);
    case 'message':
    case 'map': {
      let encode: Encoder | undefined;
      let guess = 1;
      return (into, value) => {
        encode ??= encoderOf(of as MessageName);
        const inner = encode;
        const start = into.beginLengthDelimited(guess);
        inner(into, value as AnyMessage);
        guess = into.end(start, guess);
      };
    }
  }
}

function repeatedWriter(tag: number, wire: number, packedTag: number, write: FieldWriter): FieldWriter {
  if (wire === wireType.lengthDelimited) {
    return (into, value) => {
      for (const item of value as readonly unknown[]) {
        into.varint(tag);
        write(into, item);
      }
    };
  }
  return (into, value) => {
    const items = value as readonly unknown[];
    if (items.length === 0) return;
    into.varint(packedTag);
    const start = into.beginLengthDelimited();
    for (const item of items) write(into, item);
    into.end(start, 1);
  };
}

function mapWriter(tag: number, write: FieldWriter): FieldWriter {
  return (into, value) => {
    for (const [name, item] of value as ReadonlyMap<string, unknown>) {
      into.varint(tag);
      const start = into.beginLengthDelimited();
      into.textField(1, name);
      into.varint(18);
      write(into, item);
      into.end(start, 1);
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
  return (into, value) => {
    if (!isAlwaysWritten && isDefault(value)) return;
    into.varint(tag);
    write(into, value);
  };
}

/** Compiles an encoder. Values must have the types of the schema; absent fields are left out. */
export function compileEncoder(name: MessageName, encoderOf: (name: MessageName) => Encoder): Encoder {
  const writers = fieldsByMessage[name].map((field) => ({
    key: field[2],
    write: fieldWriter(field, encoderOf),
    isInteger: field[3] === 'int32' || field[3] === 'int64',
  }));
  return (into, message) => {
    for (const { key, write, isInteger } of writers) {
      const value = message[key];
      if (value === undefined) continue;
      if (isInteger && typeof value === 'number' && !Number.isSafeInteger(value)) {
        throw new DataPlaneError('Internal', `${name}.${key}: ${value} is not an integer`);
      }
      write(into, value);
    }
  };
}
