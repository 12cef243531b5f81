/**
 * Counts the bytes of a block's JSON text without rendering it, since a block can grow on the way.
 */

/** An empty byte string, 0x40, in a list becomes `{"$bytes":""},`. No byte grows more. */
export const jsonExpansionMax = 14;

/** Smaller blocks are not read: 256 of them, as many as a chunk holds, are within every limit. */
const countedBytesMin = 1170;

/** What an escape adds to each byte of a text. */
const escapeBytes = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) escapeBytes[byte] = 5;
for (const byte of [...'\b\t\n\f\r"\\']) escapeBytes[byte.charCodeAt(0)] = 1;

const bytesFormLength = '{"$bytes":""}'.length;
const linkFormLength = '{"$link":""}'.length + 59;
const cidValueBytes = 37;

/** The longest text of a float, which no lexicon has: rendering each would cost too much. */
const floatLengthMax = '-0.0000010121437732385311'.length;

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  return String(value).length;
}

/** Returns a bound of the JSON bytes of a block that `decodeDagCbor` accepts; cheap if small. */
export function jsonBytesBound(block: Uint8Array): number {
  return block.length < countedBytesMin ? block.length * jsonExpansionMax : jsonBytesOfBlock(block);
}

/**
 * Returns the bytes of the JSON text of a block that `decodeDagCbor` accepts, exact but for floats.
 *
 * The heads say enough, so nesting needs no stack: commas and colons follow from the counts.
 */
export function jsonBytesOfBlock(block: Uint8Array): number {
  const source = Buffer.isBuffer(block) ? block : Buffer.from(block.buffer, block.byteOffset, block.length);
  let json = 0;
  for (let at = 0; at < source.length; ) {
    const head = source[at++]!;
    const info = head & 31;
    let argument = info;
    if (info === 24) argument = source[at++]!;
    else if (info === 25) {
      argument = source.readUInt16BE(at);
      at += 2;
    } else if (info === 26) {
      argument = source.readUInt32BE(at);
      at += 4;
    } else if (info === 27 && head < 0xe0) {
      argument = source.readUInt32BE(at) * 2 ** 32 + source.readUInt32BE(at + 4);
      at += 8;
    }
    switch (head >>> 5) {
      case 0:
        json += digitsOf(argument);
        break;
      case 1:
        json += 1 + digitsOf(argument + 1);
        break;
      case 2:
        json += bytesFormLength + Math.ceil((argument * 4) / 3);
        at += argument;
        break;
      case 3: {
        const end = at + argument;
        json += argument + 2;
        while (at < end) json += escapeBytes[source[at++]!]!;
        break;
      }
      case 4:
        json += 2 + Math.max(0, argument - 1);
        break;
      case 5:
        json += 2 + argument + Math.max(0, argument - 1);
        break;
      case 6:
        json += linkFormLength;
        // Tag 42 and the head of its bytes, whose length does not vary.
        at += 2 + cidValueBytes;
        break;
      default:
        if (info === 27) {
          json += floatLengthMax;
          at += 8;
        } else json += info === 20 ? 5 : 4;
    }
  }
  return json;
}
