/**
 * Messages as JSON, which Connect speaks and `curl` users type.
 *
 * Owns: the proto3 mapping: lower-camel names (proto names are read too), base64 bytes, RFC 3339
 * timestamps, int64 as a string, enum names. Unknown keys are refused by name, since a misspelt key
 * would otherwise be silently ignored.
 */
import { parseBoundedJson } from '../base/bounded-json.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { encodeMessage } from './codec.ts';
import { fieldsByMessage, type MessageByName, type MessageName, namesByEnum } from './generated/bsky-service.ts';
import { type AnyMessage, nestingDepthMax } from './message-decoder.ts';
import type { FieldSchema, MessageInput } from './schema.ts';

/** Values and keys of one message in JSON: six for each of the things that it may ask for. */
const jsonItemsMax = 30_000;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function refuse(path: string, problem: string): never {
  throw new DataPlaneError('InvalidArgument', `${path}: ${problem}`);
}

function enumNumber(value: Json, of: string, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  const known = namesByEnum[of]!.find(([, name]) => name === value);
  return known?.[0] ?? refuse(path, `must be one of ${namesByEnum[of]!.map(([, name]) => name).join(', ')}`);
}

function integer(value: Json, path: string): number {
  const parsed = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof parsed !== 'number' || !Number.isSafeInteger(parsed)) return refuse(path, 'must be a whole number');
  return parsed;
}

function int32(value: Json, path: string): number {
  const parsed = integer(value, path);
  return parsed === (parsed | 0) ? parsed : refuse(path, 'must be within 32 bits');
}

function double(value: Json, path: string): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isNaN(parsed) ? refuse(path, 'must be a number') : parsed;
}

function bytes(value: Json, path: string): Buffer {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return refuse(path, 'must be base64 text');
  return Buffer.from(value, 'base64');
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

function timestamp(value: Json, path: string): number {
  const ms = typeof value === 'string' && rfc3339.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? refuse(path, 'must be an RFC 3339 time') : ms;
}

function one(value: Json, [, , , type, , of]: FieldSchema, path: string, depth: number): unknown {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : refuse(path, 'must be a text');
    case 'bool':
      return typeof value === 'boolean' ? value : refuse(path, 'must be true or false');
    case 'int32':
      return int32(value, path);
    case 'int64':
      return integer(value, path);
    case 'double':
      return double(value, path);
    case 'bytes':
      return bytes(value, path);
    case 'enum':
      return enumNumber(value, of, path);
    case 'timestamp':
      return timestamp(value, path);
    case 'message':
    case 'map':
      return message(of as MessageName, value, path, depth + 1);
  }
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function field(value: Json, schema: FieldSchema, path: string, depth: number): unknown {
  if (schema[4] === 'repeated') {
    if (!Array.isArray(value)) return refuse(path, 'must be an array');
    return value.map((item, index) => one(item, schema, `${path}[${index}]`, depth));
  }
  if (schema[3] !== 'map') return one(value, schema, path, depth);
  if (!isObject(value)) return refuse(path, 'must be an object');
  return new Map(Object.entries(value).map(([key, item]) => [key, one(item, schema, `${path}.${key}`, depth)]));
}

function message(name: MessageName, value: Json, path: string, depth: number): AnyMessage {
  if (depth > nestingDepthMax) refuse(path, `messages nest deeper than ${nestingDepthMax}`);
  if (!isObject(value)) refuse(path, 'must be an object');
  const result: AnyMessage = {};
  for (const [key, item] of Object.entries(value)) {
    const schema = fieldsByMessage[name].find(([, proto, local]) => key === local || key === proto);
    if (schema === undefined) refuse(`${path}.${key}`, `${name} has no such field`);
    if (item !== null) result[schema[2]] = field(item, schema, `${path}.${key}`, depth);
  }
  return result;
}

/**
 * Converts JSON to protobuf bytes. Empty text is the empty message.
 *
 * Errors: DataPlaneError `InvalidArgument` naming the field; `ResourceExhausted` past a limit.
 */
export function messageFromJson<Name extends MessageName>(name: Name, text: string): Buffer {
  const value = text.length > 0 ? (parseBoundedJson(text, `${name}: the body`, jsonItemsMax) as Json) : {};
  const parsed = message(name, value, name, 0);
  return encodeMessage(name, parsed as unknown as MessageInput<MessageByName[Name]>);
}

function oneToJson(value: unknown, [, , , type, , of]: FieldSchema): Json {
  switch (type) {
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'int64':
      return String(value);
    case 'double':
      return Number.isFinite(value) ? (value as number) : String(value);
    case 'enum':
      return namesByEnum[of]!.find(([number]) => number === value)?.[1] ?? (value as number);
    case 'timestamp':
      return new Date(value as number).toISOString().replace(/\.000Z$/, 'Z');
    case 'message':
    case 'map':
      return toJson(of as MessageName, value as AnyMessage);
    default:
      return value as string | number | boolean;
  }
}

function isLeftOut(value: unknown, [, , , type, label]: FieldSchema): boolean {
  if (value === undefined) return true;
  if (label === 'optional' || type === 'timestamp') return false;
  if (value === '' || value === 0 || value === false) return true;
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value instanceof Map && value.size === 0;
}

function toJson(name: MessageName, value: AnyMessage): Json {
  const result: { [key: string]: Json } = {};
  for (const schema of fieldsByMessage[name]) {
    const item = value[schema[2]];
    if (isLeftOut(item, schema)) continue;
    if (schema[4] === 'repeated') result[schema[2]] = (item as unknown[]).map((each) => oneToJson(each, schema));
    else if (item instanceof Map) {
      result[schema[2]] = Object.fromEntries([...item].map(([key, each]) => [key, oneToJson(each, schema)]));
    } else result[schema[2]] = oneToJson(item, schema);
  }
  return result;
}

/** Returns a message as JSON; defaults are left out. */
export function messageToJson<Name extends MessageName>(name: Name, value: MessageByName[Name]): string {
  return JSON.stringify(toJson(name, value as unknown as AnyMessage));
}
