/**
 * Control messages between our processes: CBOR in declared shapes. Hot payloads are binary instead.
 *
 * Owns: the CBOR that is sent (32-bit integers, doubles for other numbers, strings, arrays, maps
 * with string keys, true, false, null, undefined) and the limits checked before cbor-x sees any
 * bytes. Refuses: every other head (tags, byte strings, 64-bit integers, indefinite lengths), deep
 * nesting, too many items or bytes, and values of another shape. This build of cbor-x neither
 * compiles code nor loads its addon.
 */
import { Encoder } from 'cbor-x/index-no-eval';
import type * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readShape } from '../config/json-shape.ts';

/** A kind of message. `decode` throws DataPlaneError `Internal` for anything else. */
export type ControlMessage<Shape extends v.GenericSchema> = {
  encode(value: v.InferInput<Shape>): Buffer;
  decode(bytes: Uint8Array): v.InferOutput<Shape>;
};

export const controlBytesMax = 24 * 1024 * 1024;
/** The message is at depth 0, its items are at depth 1. */
export const controlDepthMax = 8;
/** A map, each of its keys, and each of its values is an item. */
const itemCountMaxDefault = 8192;

const codec = new Encoder({ useRecords: false, mapsAsObjects: true });

/** Declares a kind of message; errors name it by `name`, that of the call. */
export function controlMessage<const Shape extends v.GenericSchema>(
  name: string,
  shape: Shape,
  itemCountMax = itemCountMaxDefault,
): ControlMessage<Shape> {
  const fail = (problem: string): never => {
    throw new DataPlaneError('Internal', `${name}: ${problem}`);
  };
  return {
    encode: (value) => codec.encode(value),
    decode: (bytes) => {
      const problem = problemOf(bytes, itemCountMax);
      if (problem !== null) fail(problem);
      return readShape(shape, codec.decode(bytes), fail);
    },
  };
}

/** Returns the bytes of a head's argument, or -1 for a head that is never sent. */
function argumentBytes(major: number, info: number): number {
  if (major === 7) return info >= 20 && info <= 23 ? 0 : info === 27 ? 8 : -1;
  if (major === 2 || major === 6 || info > 26) return -1;
  return info < 24 ? 0 : 2 ** (info - 24);
}

function readArgument(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let index = at; index < at + size; index++) value = value * 256 + bytes[index]!;
  return value;
}

/** Checks the heads of a message. Returns what is wrong, or null. */
function problemOf(bytes: Uint8Array, itemCountMax: number): string | null {
  if (bytes.length > controlBytesMax) return `more than ${controlBytesMax} bytes`;
  // By depth: the items left in the open array or map; keys and values of a map alternate.
  const left = [1];
  const isMap = [false];
  let itemCount = 0;
  let at = 0;
  while (left.length > 0) {
    const depth = left.length - 1;
    if (left[depth] === 0) {
      left.pop();
      isMap.pop();
      continue;
    }
    if (at >= bytes.length) return 'the bytes end early';
    if (++itemCount > itemCountMax) return `more than ${itemCountMax} items`;
    const isKey = isMap[depth]! && left[depth]! % 2 === 0;
    left[depth]!--;
    const head = bytes[at]!;
    const [major, info] = [head >> 5, head & 31];
    if (isKey && major !== 3) return 'a key is no text';
    const size = argumentBytes(major, info);
    if (size < 0) return `byte ${head} begins nothing that is sent`;
    at += 1 + size;
    if (at > bytes.length) return 'the bytes end early';
    if (major < 3 || major === 7) continue;
    const count = size === 0 ? info : readArgument(bytes, at - size, size);
    if (count > bytes.length - at) return 'the bytes end early';
    if (major === 3) at += count;
    else {
      if (depth === controlDepthMax) return `nested deeper than ${controlDepthMax}`;
      left.push(major === 5 ? 2 * count : count);
      isMap.push(major === 5);
    }
  }
  return at === bytes.length ? null : 'bytes are left over';
}
