/**
 * The common kind of DID, as the directory gives them out: `did:plc:` and 24 letters of base32, or
 * 15 bytes.
 */
import { base32Values, formatBase32, parseBase32 } from '../base/base32.ts';
import { copyAscii } from '../base/bytes.ts';

/** What all of them begin with. */
export const plcHead: Buffer = Buffer.from('did:plc:', 'latin1');
const headLength = 8;
/** Units: characters of a did:plc, which are as many bytes. */
export const plcDidLength = 32;
/** Units: bytes of the letters after the head. */
export const plcIdBytes = 15;

/** Units: 32-bit words of the letters after the head, as `xxh32OfPlc` takes them. */
export const plcLetterWords = 6;

const scratch = Buffer.from(plcHead.latin1Slice().padEnd(plcDidLength, 'a'), 'latin1');

/**
 * True when there is a did:plc at `source[at..]`, whatever follows it; at least 32 bytes must be
 * there.
 */
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

/**
 * Writes the 15 bytes of a DID to `into[at..]`; false, with anything in `into`, for any but a
 * did:plc.
 */
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

/**
 * Writes the text of the did:plc whose 15 bytes are at `source[at..]` to `into[to..]`: 32 bytes.
 */
export function formatPlc(source: Uint8Array, at: number, into: Uint8Array, to: number): void {
  for (let index = 0; index < headLength; index++) into[to + index] = plcHead[index]!;
  formatBase32(source, at, at + plcIdBytes, into, to + headLength);
}

/** Reads the letters of the did:plc at `source[at..]`, four to a word. */
export function readPlcLetters(source: Uint8Array, at: number, into: Int32Array): void {
  for (let word = 0, from = at + headLength; word < plcLetterWords; word++, from += 4) {
    into[word] = source[from]! | (source[from + 1]! << 8) | (source[from + 2]! << 16) | (source[from + 3]! << 24);
  }
}
