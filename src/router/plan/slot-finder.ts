/**
 * Finds the slot of a DID, a record URI or a handle in the bytes of a request.
 *
 * Owns: what is well-formed, and the fast path for `did:plc`, which makes no strings. A method
 * answers a key without a slot as missing or refuses it, as the official plane does.
 */
import { AtUri, isValidHandle } from '@atproto/syntax';
import { didLengthMax, isKeyableDid } from '../../atproto/compact-key.ts';
import { isPlcAt, plcDidLength, plcLetterWords, readPlcLetters } from '../../atproto/did-plc.ts';
import { hasBytesAt } from '../../base/bytes.ts';
import { xxh32OfPlc } from '../../base/xxh32.ts';
import { slotOf } from '../../shardmap/slot-of.ts';

/** A well-formed key that no slot can hold. */
const noSlot = -1;
export const malformedKey = -2;

/** What is known of nodes, as of a `FanOut`. */
type SlotNodes = {
  readonly map: { readonly slots: number };
  readonly nodeBySlot: Uint16Array;
  readonly nodeNames: readonly string[];
};

const slash = 47;
const uriHead = Buffer.from('at://', 'latin1');
const letters = new Int32Array(plcLetterWords);

/** 1 for bytes that may follow the authority of a plain record URI. */
const isPlainPath: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (let byte = 33; byte < 127; byte++) table[byte] = 1;
  for (const byte of '?#') table[byte.charCodeAt(0)] = 0;
  return table;
})();

function slotOfPlc(source: Buffer, start: number, slots: number): number {
  readPlcLetters(source, start, letters);
  return xxh32OfPlc(letters) & (slots - 1);
}

/** Returns the slot of a DID, or malformedKey. */
export function slotOfDidText(did: string, slots: number): number {
  return isKeyableDid(did) ? slotOf(did, slots) : malformedKey;
}

/** Returns the slot of the DID at `source[start..end)`, or malformedKey. */
export function slotOfDid(source: Buffer, start: number, end: number, slots: number): number {
  if (end - start === plcDidLength && isPlcAt(source, start)) return slotOfPlc(source, start, slots);
  return end - start > didLengthMax ? malformedKey : slotOfDidText(source.utf8Slice(start, end), slots);
}

/** Returns the node that serves the DID at `source[start..end)`, or malformedKey. */
export function nodeOfDid(
  source: Buffer,
  start: number,
  end: number,
  { map, nodeBySlot, nodeNames }: SlotNodes,
): number {
  const isPlc = end - start === plcDidLength && isPlcAt(source, start);
  // A single node serves it whichever its slot is, which costs more to find out.
  if (isPlc && nodeNames.length === 1) return 0;
  const slot = isPlc ? slotOfPlc(source, start, map.slots) : slotOfDid(source, start, end, map.slots);
  return slot < 0 ? malformedKey : nodeBySlot[slot]!;
}

function slotOfUriText(uri: string, slots: number): number {
  let host: string;
  try {
    host = new AtUri(uri).host;
  } catch {
    return malformedKey;
  }
  return uri.startsWith('at://did:') && isKeyableDid(host) ? slotOf(host, slots) : noSlot;
}

/** Longer URIs are malformed, so that a hostile one costs little. Units: bytes. */
const uriBytesMax = 8 * 1024;

/** True for a well-formed AT-URI of a did:plc in its usual form. */
function isPlainUri(source: Buffer, start: number, end: number): boolean {
  const didStart = start + uriHead.length;
  const didEnd = didStart + plcDidLength;
  if (end <= didEnd || source[didEnd] !== slash) return false;
  if (!hasBytesAt(source, start, uriHead) || !isPlcAt(source, didStart)) return false;
  let position = didEnd;
  while (position < end && isPlainPath[source[position]!] === 1) position++;
  return position === end;
}

/** Returns the slot of an AT-URI's DID; noSlot if it names a handle, malformedKey if no AT-URI. */
export function slotOfUri(source: Buffer, start: number, end: number, slots: number): number {
  if (isPlainUri(source, start, end)) return slotOfPlc(source, start + uriHead.length, slots);
  return end - start > uriBytesMax ? malformedKey : slotOfUriText(source.utf8Slice(start, end), slots);
}

/** Returns the node that serves an AT-URI's DID; noSlot and malformedKey as `slotOfUri`. */
export function nodeOfUri(
  source: Buffer,
  start: number,
  end: number,
  { map, nodeBySlot, nodeNames }: SlotNodes,
): number {
  if (nodeNames.length === 1 && isPlainUri(source, start, end)) return 0;
  const slot = slotOfUri(source, start, end, map.slots);
  return slot < 0 ? slot : nodeBySlot[slot]!;
}

/** Returns the slot of a handle in lower case, as handles are stored, or malformedKey. */
function slotOfHandle(source: Buffer, start: number, end: number, slots: number): number {
  if (end - start > 253) return malformedKey;
  const handle = source.utf8Slice(start, end).toLowerCase();
  return isValidHandle(handle) ? slotOf(handle, slots) : malformedKey;
}

/** Returns the node that serves a handle, or malformedKey. */
export function nodeOfHandle(source: Buffer, start: number, end: number, { map, nodeBySlot }: SlotNodes): number {
  const slot = slotOfHandle(source, start, end, map.slots);
  return slot < 0 ? slot : nodeBySlot[slot]!;
}

/** Returns the DID of an AT-URI, or undefined if it has none. */
export function didOfUri(uri: string): string | undefined {
  if (!uri.startsWith('at://did:')) return undefined;
  const end = uri.indexOf('/', 5);
  const did = end < 0 ? uri.slice(5) : uri.slice(5, end);
  return isKeyableDid(did) ? did : undefined;
}
