/**
 * Parses JSON that others wrote, after it was measured.
 *
 * Owns: limits on nesting and on values. A parser takes a second or two for some texts of a few
 * megabytes, such as two million brackets, and nothing else runs on its thread meanwhile.
 */
import { DataPlaneError } from './data-plane-error.ts';

/** Levels of arrays and objects. A record may have 64, in a request around it. */
export const jsonDepthMax = 100;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const [openArray, closeArray] = [0x5b, 0x5d];
const [openObject, closeObject] = [0x7b, 0x7d];

/** Returns where a string ends that begins before `from`: after its last quote. */
function stringEnd(text: string, from: number): number {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === quote) return index + 1;
    if (code === backslash) index++;
  }
  return text.length;
}

/** Throws when a text has more levels or values than a parser may be given. */
function requireBounded(text: string, name: string, itemsMax: number): void {
  let depth = 0;
  let items = 0;
  for (let index = 0; index < text.length; ) {
    const code = text.charCodeAt(index++);
    if (code === quote) index = stringEnd(text, index);
    else if (code === closeArray || code === closeObject) depth--;
    else if (code === openArray || code === openObject) {
      items++;
      if (++depth > jsonDepthMax)
        throw new DataPlaneError('InvalidArgument', `${name} is nested deeper than ${jsonDepthMax}`);
    } else if (code === comma || code === colon) items++;
  }
  if (items > itemsMax)
    throw new DataPlaneError('ResourceExhausted', `${name} has more than ${itemsMax} values and keys`);
}

/**
 * Returns the value of a text. `name` says in errors what was read.
 *
 * Errors: DataPlaneError `InvalidArgument` for what is no JSON or has more than `jsonDepthMax`
 * levels; `ResourceExhausted` for more than `itemsMax` values and keys.
 */
export function parseBoundedJson(text: string, name: string, itemsMax: number): unknown {
  requireBounded(text, name, itemsMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', `${name} is not JSON`, { cause });
  }
}
