/**
 * JSON texts of records as they are stored: common fragments as one byte, CIDs, DIDs, TIDs and
 * times as their numbers after one.
 *
 * Owns packing, and unpacking straight into an answer. Whatever has no short form stays as it is,
 * so any text packs and comes back byte for byte.
 */
import { blobCidHead, cidDigestBytes, cidHead, cidTextLength, formatCid, parseCidDigest } from '../../atproto/cid.ts';
import { formatPlc, plcDidLength, plcHead, plcIdBytes } from '../../atproto/did-plc.ts';
import { formatTid, packTid, tidBytes, tidLength } from '../../atproto/tid.ts';
import { parseBase32 } from '../../base/base32.ts';
import { type ByteWriter, hasBytesAt } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { jsonFragments, packedCode } from './json-fragments.ts';

const isCode = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++)
  isCode[byte] = byte < 0x20 || byte === 0xc0 || byte === 0xc1 || byte >= 0xf5 ? 1 : 0;

/** Fragments by their first byte, the longest first. */
const fragmentsByFirst = Array.from({ length: 256 }, (_unused, first) =>
  jsonFragments.filter(({ bytes }) => bytes[0] === first).sort((a, b) => b.bytes.length - a.bytes.length),
);
const fragmentByCode: readonly (Buffer | undefined)[] = Array.from(
  { length: 256 },
  (_unused, code) => jsonFragments.find((fragment) => fragment.code === code)?.bytes,
);

const letter = { quote: 34, slash: 47, zero: 48, nine: 57, b: 98, d: 100 } as const;
const timePattern = Buffer.from('0000-00-00T00:00:00.000Z', 'latin1');
const timeLength = timePattern.length;
/** No code expands to more than this, so room for one is reserved once. Units: bytes. */
const expandedMax = 128;
const loopedMax = 24;

/** 1 for bytes that may begin a fragment, CID, DID or time; a TID is tried only after a slash. */
const beginsForm = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const isDigit = byte >= letter.zero && byte <= letter.nine;
  beginsForm[byte] = isDigit || byte === letter.b || byte === letter.d || fragmentsByFirst[byte]!.length > 0 ? 1 : 0;
}

let packed = Buffer.allocUnsafeSlow(4096);

/** Appends the packed form of a JSON text. */
export function packJson(writer: ByteWriter, json: string): void {
  const source = Buffer.from(json, 'utf8');
  if (packed.length < source.length * 2) packed = Buffer.allocUnsafeSlow(source.length * 2);
  let length = 0;
  let at = 0;
  let before = 0;
  while (at < source.length) {
    const byte = source[at]!;
    const mayBegin = before === letter.slash || beginsForm[byte] === 1;
    const taken = mayBegin ? packFragment(source, at, length) || packValue(source, at, byte, before, length + 1) : 0;
    if (taken > 0) {
      at += taken;
      length += packedLength(length);
      before = source[at - 1]!;
      continue;
    }
    if (isCode[byte] === 1) packed[length++] = packedCode.literal;
    packed[length++] = byte;
    before = byte;
    at++;
  }
  writer.bytes(packed.subarray(0, length));
}

/** Length of a code and its bytes. */
const lengthByCode = new Uint8Array(256).fill(1);
lengthByCode[packedCode.cid] = 1 + cidDigestBytes;
lengthByCode[packedCode.blobCid] = 1 + cidDigestBytes;
lengthByCode[packedCode.did] = 1 + plcIdBytes;
lengthByCode[packedCode.time] = 1 + timeBytes;
lengthByCode[packedCode.tid] = 1 + tidBytes;
lengthByCode[packedCode.literal] = 2;

function packedLength(at: number): number {
  return lengthByCode[packed[at]!]!;
}

/** Writes the code of the longest fragment at `at`. Returns the bytes that it covers, or 0. */
function packFragment(source: Buffer, at: number, to: number): number {
  for (const { code, bytes } of fragmentsByFirst[source[at]!]!) {
    if (!hasBytesAt(source, at, bytes)) continue;
    packed[to] = code;
    return bytes.length;
  }
  return 0;
}

/** Writes the value at `at` to `packed[to..]` after its code. Returns the bytes it covers, or 0. */
function packValue(source: Buffer, at: number, byte: number, before: number, to: number): number {
  const left = source.length - at;
  if (byte === letter.d && left >= plcDidLength && hasBytesAt(source, at, plcHead)) {
    if (!parseBase32(source, at + plcHead.length, at + plcDidLength, packed, to)) return 0;
    packed[to - 1] = packedCode.did;
    return plcDidLength;
  }
  if (byte === letter.b && left >= cidTextLength) return packCid(source, at, to);
  if (before === letter.slash && left >= tidLength && packTid(source, at, packed, to)) {
    packed[to - 1] = packedCode.tid;
    return tidLength;
  }
  if (before === letter.quote && byte >= letter.zero && byte <= letter.nine && left >= timeLength)
    return packTime(source, at, to);
  return 0;
}

function packCid(source: Buffer, at: number, to: number): number {
  const isRecord = hasBytesAt(source, at, cidHead);
  if (!isRecord && !hasBytesAt(source, at, blobCidHead)) return 0;
  if (!parseCidDigest(source, at, packed, to)) return 0;
  packed[to - 1] = isRecord ? packedCode.cid : packedCode.blobCid;
  return cidTextLength;
}

/** Positions and bits of a time's fields: years up to 4095, the rest as far as digits go. */
const timeFields = [
  { at: 0, digits: 4, bits: 12 },
  { at: 5, digits: 2, bits: 4 },
  { at: 8, digits: 2, bits: 5 },
  { at: 11, digits: 2, bits: 5 },
  { at: 14, digits: 2, bits: 6 },
  { at: 17, digits: 2, bits: 6 },
  { at: 20, digits: 3, bits: 10 },
] as const;

/** Packs a time in the form that most records have, whether or not there is such a time. */
function packTime(source: Buffer, at: number, to: number): number {
  for (let index = 0; index < timeLength; index++) {
    const byte = source[at + index]!;
    const isDigit = byte >= letter.zero && byte <= letter.nine;
    if (timePattern[index] === letter.zero ? !isDigit : byte !== timePattern[index]) return 0;
  }
  let number = 0;
  for (const field of timeFields) {
    let value = 0;
    for (let digit = 0; digit < field.digits; digit++)
      value = value * 10 + source[at + field.at + digit]! - letter.zero;
    if (value >= 1 << field.bits) return 0;
    number = number * (1 << field.bits) + value;
  }
  packed.writeUIntBE(number, to, timeBytes);
  packed[to - 1] = packedCode.time;
  return timeLength;
}

function appendTime(into: MessageWriter, source: Buffer, at: number): void {
  const { buffer, length: start } = into;
  const high = (source[at]! << 16) | (source[at + 1]! << 8) | source[at + 2]!;
  const low = (source[at + 3]! << 16) | (source[at + 4]! << 8) | source[at + 5]!;
  for (let index = 0; index < timeLength; index++) buffer[start + index] = timePattern[index]!;
  putDigits(buffer, start + 4, high >>> 12);
  putDigits(buffer, start + 7, (high >>> 8) & 15);
  putDigits(buffer, start + 10, (high >>> 3) & 31);
  putDigits(buffer, start + 13, ((high & 7) << 2) | (low >>> 22));
  putDigits(buffer, start + 16, (low >>> 16) & 63);
  putDigits(buffer, start + 19, (low >>> 10) & 63);
  putDigits(buffer, start + 23, low & 1023);
  into.length = start + timeLength;
}

/** Puts the digits of a number so that they end before `end`; zeros are there already. */
function putDigits(buffer: Buffer, end: number, value: number): void {
  for (let at = end - 1, rest = value; rest > 0; rest = (rest / 10) | 0) buffer[at--] = letter.zero + (rest % 10);
}

/**
 * Appends the JSON text that is packed in `source[start..end)`, without a string or object in
 * between.
 *
 * Errors: InvariantError for an unknown code, or one that needs more bytes than there are.
 */
export function unpackJson(into: MessageWriter, source: Buffer, start: number, end: number): void {
  invariant(start <= end, 'packed JSON ends after its beginning');
  let at = start;
  while (at < end) {
    into.reserve(end - at + expandedMax);
    let runEnd = at;
    while (runEnd < end && isCode[source[runEnd]!] === 0) runEnd++;
    appendRun(into, source, at, runEnd);
    at = runEnd < end ? unpackCode(into, source, runEnd, end) : end;
  }
}

/** Copies bytes into reserved room. Up to a few, a loop is faster than the call that copies. */
function appendRun(into: MessageWriter, source: Buffer, start: number, end: number): void {
  const { buffer, length } = into;
  if (end - start > loopedMax) source.copy(buffer, length, start, end);
  else for (let at = start, to = length; at < end; ) buffer[to++] = source[at++]!;
  into.length = length + end - start;
}

/** Appends what a code at `at` and its bytes, up to `end`, expand to. Returns where they end. */
function unpackCode(into: MessageWriter, source: Buffer, at: number, end: number): number {
  const code = source[at]!;
  const fragment = fragmentByCode[code];
  if (fragment !== undefined) {
    appendRun(into, fragment, 0, fragment.length);
    return at + 1;
  }
  const next = at + lengthByCode[code]!;
  invariant(next <= end, 'packed JSON holds all that its codes announce');
  switch (code) {
    case packedCode.cid:
    case packedCode.blobCid:
      formatCid(code === packedCode.cid ? cidHead : blobCidHead, source, at + 1, into.buffer, into.length);
      into.length += cidTextLength;
      break;
    case packedCode.did:
      formatPlc(source, at + 1, into.buffer, into.length);
      into.length += plcDidLength;
      break;
    case packedCode.time:
      appendTime(into, source, at + 1);
      break;
    case packedCode.tid:
      formatTid(source, at + 1, into.buffer, into.length);
      into.length += tidLength;
      break;
    default:
      invariant(code === packedCode.literal, 'packed JSON holds known codes');
      into.buffer[into.length++] = source[at + 1]!;
  }
  return next;
}

const text = new MessageWriter();

/** Returns the JSON text that is packed in `source[start..end)`. */
export function unpackedText(source: Buffer, start: number, end: number): string {
  unpackJson(text.clear(), source, start, end);
  return text.buffer.utf8Slice(0, text.length);
}
