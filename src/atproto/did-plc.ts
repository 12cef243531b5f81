/** The most common kind of DID: `did:plc:` and 24 letters of base32, or 15 bytes. */
import { base32Values, formatBase32, parseBase32 } from '../base/base32.ts';
import { copyAscii } from '../base/bytes.ts';

export const plcHead: Buffer = Buffer.from('did:plc:', 'latin1');
const headLength = 8;
/** Units: characters, all ASCII. */
export const plcDidLength = 32;
/** The letters after the head, decoded. Units: bytes. */
export const plcIdBytes = 15;

/** The letters after the head in 32-bit words, as `xxh32OfPlc` takes them. */
export const plcLetterWords = 6;

const scratch = Buffer.from(plcHead.latin1Slice().padEnd(plcDidLength, 'a'), 'latin1');

/** True when a did:plc is at `source[at..]`, whatever follows it. Shape: at least 32 bytes. */
export function isPlcAt(source: Uint8Array, at: number): boolean {
  for (let index = 0; index < headLength; index++) if (source[at + index] !== plcHead[index]) return false;
  for (let index = headLength; index < plcDidLength; index++) if (base32Values[source[at + index]!]! > 31) return false;
  return true;
}

/** True when there is a did:plc at `start` of a text, whatever follows it. */
export function isPlcText(text: string, start: number): boolean {
  if (text.length < start + plcDidLength || !text.startsWith('did:plc:', start)) return false;
  copyAscii(text, start, start + plcDidLength, scratch, 0);
  return isPlcAt(scratch, 0);
}

/** Writes the 15 bytes of a did:plc to `into[at..]`; false for any other DID. */
export function packPlc(did: string, into: Uint8Array, at: number): boolean {
  if (did.length !== plcDidLength || !did.startsWith('did:plc:')) return false;
  copyAscii(did, headLength, plcDidLength, scratch, headLength);
  return parseBase32(scratch, headLength, plcDidLength, into, at);
}

/** Returns the did:plc whose 15 bytes are at `source[at..]`. */
export function unpackPlc(source: Uint8Array, at: number): string {
  formatBase32(source, at, at + plcIdBytes, scratch, headLength);
  return scratch.latin1Slice(0, plcDidLength);
}

/** Writes the text of the did:plc whose 15 bytes are at `source[at..]` to `into[to..]`. */
export function formatPlc(source: Uint8Array, at: number, into: Uint8Array, to: number): void {
  for (let index = 0; index < headLength; index++) into[to + index] = plcHead[index]!;
  formatBase32(source, at, at + plcIdBytes, into, to + headLength);
}

/** Reads the letters of the did:plc at `source[at..]`, four per word. */
export function readPlcLetters(source: Uint8Array, at: number, into: Int32Array): void {
  for (let word = 0, from = at + headLength; word < plcLetterWords; word++, from += 4) {
    into[word] = source[from]! | (source[from + 1]! << 8) | (source[from + 2]! << 16) | (source[from + 3]! << 24);
  }
}
