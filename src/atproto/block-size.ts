/**
 * Measures what a block will be, values and JSON, before it is decoded: it can grow on the way.
 */

/** An empty byte string, 0x40, in a list becomes `{"$bytes":""},`. No byte grows more. */
export const jsonExpansionMax = 14;

/**
 * Of smaller blocks the texts are not read, of yet smaller ones not even the heads: 256 of them, as
 * many as a chunk holds, are within every limit.
 */
const textsReadBytesMin = 1_170;
const headsReadBytesMin = 256;

/** What an escape adds to each byte of a text. */
const escapeBytes = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) escapeBytes[byte] = 5;
for (const byte of [...'\b\t\n\f\r"\\']) escapeBytes[byte.charCodeAt(0)] = 1;

const bytesFormLength = '{"$bytes":""}'.length;
const linkFormLength = '{"$link":""}'.length + 59;
/** The longest text of a float, which no lexicon has: rendering each would cost too much. */
const floatLengthMax = '-0.0000010121437732385311'.length;
/** Tag 42, and the head and the bytes of its CID, whose length does not vary. */
const linkBytes = 39;

/** `items`: values and keys, each at least a byte. Both are bounds, and exact in large blocks. */
export type BlockSize = { readonly bytes: number; readonly jsonBytes: number; readonly items: number };

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  return String(value).length;
}

/** Reads a big-endian number; bytes past the end are 0. */
function numberAt(source: Buffer, at: number, bytes: number): number {
  let value = 0;
  for (let index = at; index < at + bytes; index++) value = value * 256 + (source[index] ?? 0);
  return value;
}

/** Measures any bytes. Those that `decodeDagCbor` refuses are measured as something. */
export function sizeOfBlock(block: Uint8Array): BlockSize {
  const bytes = block.length;
  if (bytes >= textsReadBytesMin) return countBlock(block);
  return { bytes, jsonBytes: bytes * jsonExpansionMax, items: bytes < headsReadBytesMin ? bytes : countItems(block) };
}

/** Counts the heads of a small block, whose lengths take two bytes at most. */
function countItems(block: Uint8Array): number {
  let items = 0;
  for (let at = 0; at < block.length; items++) {
    const head = block[at++]!;
    const info = head & 31;
    let argument = info;
    if (info === 24) argument = block[at++] ?? 0;
    else if (info === 25) {
      argument = (block[at]! << 8) | block[at + 1]!;
      at += 2;
    } else if (info > 25) at += info === 26 ? 4 : 8;
    const major = head >>> 5;
    if (major === 2 || major === 3) at += argument;
  }
  return items;
}

/**
 * Counts values, keys and JSON bytes, exactly but for floats.
 *
 * The heads say enough, so nesting needs no stack: commas and colons follow from the counts.
 */
export function countBlock(block: Uint8Array): BlockSize {
  const source = Buffer.isBuffer(block) ? block : Buffer.from(block.buffer, block.byteOffset, block.length);
  let jsonBytes = 0;
  let items = 0;
  for (let at = 0; at < source.length; items++) {
    const head = source[at++]!;
    const info = head & 31;
    let argument = info;
    if (info === 24) argument = source[at++] ?? 0;
    else if (info > 24 && info < 28) {
      const argumentBytes = 1 << (info - 24);
      if (head < 0xe0) argument = numberAt(source, at, argumentBytes);
      at += argumentBytes;
    }
    switch (head >>> 5) {
      case 0:
        jsonBytes += digitsOf(argument);
        break;
      case 1:
        jsonBytes += 1 + digitsOf(argument + 1);
        break;
      case 2:
        jsonBytes += bytesFormLength + Math.ceil((argument * 4) / 3);
        at += argument;
        break;
      case 3: {
        const end = Math.min(at + argument, source.length);
        jsonBytes += argument + 2;
        while (at < end) jsonBytes += escapeBytes[source[at++]!]!;
        break;
      }
      case 4:
        jsonBytes += 2 + Math.max(0, argument - 1);
        break;
      case 5:
        jsonBytes += 2 + argument + Math.max(0, argument - 1);
        break;
      case 6:
        jsonBytes += linkFormLength;
        at += linkBytes;
        break;
      default:
        jsonBytes += info === 27 ? floatLengthMax : info === 20 ? 5 : 4;
    }
  }
  return { bytes: source.length, jsonBytes, items };
}
