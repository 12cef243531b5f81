/**
 * Renders DIDs, record keys and CIDs from their compact bytes into an answer, and reads record keys out of request bytes.
 *
 * The bytes are those of `atproto/compact-key.ts`; this is the way without strings, for answers of many items.
 */
import { collectionOfCode } from '../../atproto/collection.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';

const base32 = Buffer.from('abcdefghijklmnopqrstuvwxyz234567', 'latin1');
const base32Values = new Uint8Array(256).fill(255);
for (let value = 0; value < 32; value++) base32Values[base32[value]!] = value;
const tidLetters = Buffer.from('234567abcdefghijklmnopqrstuvwxyz', 'latin1');
const tidValues = new Uint8Array(256).fill(255);
for (let value = 0; value < 32; value++) tidValues[tidLetters[value]!] = value;

const plcPrefix = Buffer.from('did:plc:', 'latin1');
const tag = { didOther: 2, plcRef: 0x80, rkeySelf: 0x80, rkeyOther: 0x81, collectionOther: 255 } as const;

/** A length-delimited text behind a tag byte at `at`; returns the position behind it. */
function appendTagged(into: MessageWriter, source: Buffer, at: number): number {
  const reader = new ByteReader(source, at + 1);
  const length = reader.varint();
  const start = reader.position;
  into.raw(source, start, start + length);
  return start + length;
}

/** Renders bytes, whose count is a multiple of five, in base32; the caller has made room. */
export function appendBase32(into: MessageWriter, source: Buffer, start: number, end: number): void {
  const { buffer } = into;
  let position = into.length;
  for (let from = start; from < end; from += 5) {
    const high = (source[from]! << 12) | (source[from + 1]! << 4) | (source[from + 2]! >>> 4);
    const low = ((source[from + 2]! & 15) << 16) | (source[from + 3]! << 8) | source[from + 4]!;
    buffer[position++] = base32[high >>> 15]!;
    buffer[position++] = base32[(high >>> 10) & 31]!;
    buffer[position++] = base32[(high >>> 5) & 31]!;
    buffer[position++] = base32[high & 31]!;
    buffer[position++] = base32[low >>> 15]!;
    buffer[position++] = base32[(low >>> 10) & 31]!;
    buffer[position++] = base32[(low >>> 5) & 31]!;
    buffer[position++] = base32[low & 31]!;
  }
  into.length = position;
}

/**
 * Reads base32 letters, whose count is a multiple of eight, into bytes at `into[at..]`.
 *
 * Returns: false, with nothing said about `into`, when they are not all base32.
 */
export function packBase32(source: Buffer, start: number, end: number, into: Buffer, at: number): boolean {
  let seen = 0;
  for (let from = start, to = at; from < end; from += 8) {
    let high = 0;
    let low = 0;
    for (let digit = 0; digit < 4; digit++) {
      const left = base32Values[source[from + digit]!]!;
      const right = base32Values[source[from + 4 + digit]!]!;
      seen |= left | right;
      high = (high << 5) | left;
      low = (low << 5) | right;
    }
    into[to++] = high >>> 12;
    into[to++] = high >>> 4;
    into[to++] = (high << 4) | (low >>> 16);
    into[to++] = low >>> 8;
    into[to++] = low;
  }
  return seen <= 31;
}

/** Renders the DID that is written at `at`. Returns the position behind it. */
export function appendDid(into: MessageWriter, source: Buffer, at: number): number {
  if (source[at] === tag.didOther) return appendTagged(into, source, at);
  into.reserve(32);
  const { buffer } = into;
  let position = into.length;
  for (let index = 0; index < 8; index++) buffer[position++] = plcPrefix[index]!;
  into.length = position;
  appendBase32(into, source, at + 1, at + 16);
  return at + 16;
}

/** Renders the record key that is written at `at`. Returns the position behind it. */
export function appendRkey(into: MessageWriter, source: Buffer, at: number): number {
  if (source[at] === tag.rkeySelf) {
    into.ascii('self');
    return at + 1;
  }
  if (source[at] === tag.rkeyOther) return appendTagged(into, source, at);
  appendTid(into, source, at);
  return at + 8;
}

/** Renders the timestamp identifier whose eight bytes are at `at`: 13 characters. */
export function appendTid(into: MessageWriter, source: Buffer, at: number): void {
  const high = source.readUInt32BE(at);
  const low = source.readUInt32BE(at + 4);
  into.reserve(13);
  const { buffer } = into;
  let position = into.length;
  buffer[position++] = tidLetters[high >>> 28]!;
  for (let shift = 23; shift >= 3; shift -= 5) buffer[position++] = tidLetters[(high >>> shift) & 31]!;
  buffer[position++] = tidLetters[((high & 7) << 2) | (low >>> 30)]!;
  for (let shift = 25; shift >= 0; shift -= 5) buffer[position++] = tidLetters[(low >>> shift) & 31]!;
  into.length = position;
}

/** Renders the collection that is written at `at`. Returns the position behind it. */
function appendCollection(into: MessageWriter, source: Buffer, at: number): number {
  const code = source[at]!;
  if (code === tag.collectionOther) return appendTagged(into, source, at);
  appendCollectionOfCode(into, code);
  return at + 1;
}

function appendCollectionOfCode(into: MessageWriter, code: number): void {
  const collection = collectionOfCode(code);
  invariant(collection !== undefined, 'a stored collection code is one that was given out');
  into.ascii(collection);
}

const slash = '/';

/** Renders the AT-URI of the record reference that is written at `at`. Returns the position behind it. */
export function appendRecordUri(into: MessageWriter, source: Buffer, at: number): number {
  into.ascii('at://');
  const collectionAt = appendDid(into, source, at);
  into.ascii(slash);
  const first = source[at]!;
  if (first >= tag.plcRef) {
    appendCollectionOfCode(into, first - tag.plcRef);
    into.ascii(slash);
    return appendRkey(into, source, collectionAt);
  }
  const rkeyAt = appendCollection(into, source, collectionAt);
  into.ascii(slash);
  return appendRkey(into, source, rkeyAt);
}

/**
 * Reads the 13 characters of a TID at `source[start..]` into eight bytes at `into[at..]`.
 *
 * Returns: false, with nothing said about `into`, when they are not one.
 */
export function packTid(source: Buffer, start: number, into: Buffer, at: number): boolean {
  let high = tidValues[source[start]!]!;
  if (high >= 8) return false;
  let seen = 0;
  for (let index = 1; index < 6; index++) {
    const value = tidValues[source[start + index]!]!;
    seen |= value;
    high = (high << 5) | value;
  }
  const seventh = tidValues[source[start + 6]!]!;
  let low = seventh & 3;
  for (let index = 7; index < 13; index++) {
    const value = tidValues[source[start + index]!]!;
    seen |= value;
    low = (low << 5) | value;
  }
  if (seen > 31 || seventh > 31) return false;
  into[at] = high >>> 21;
  into[at + 1] = high >>> 13;
  into[at + 2] = high >>> 5;
  into[at + 3] = (high << 3) | (seventh >>> 2);
  into[at + 4] = low >>> 24;
  into[at + 5] = low >>> 16;
  into[at + 6] = low >>> 8;
  into[at + 7] = low;
  return true;
}

/** What every CIDv1 of DAG-CBOR with SHA-256 begins with. */
export const cidHead = Buffer.from('bafyrei', 'latin1');
/** What every CIDv1 of a blob's bytes with SHA-256 begins with. */
export const blobCidHead = Buffer.from('bafkrei', 'latin1');

/** Renders the CIDv1 with this head whose 32-byte digest is at `at`: 59 characters. */
export function appendCidOfDigest(into: MessageWriter, source: Buffer, at: number, head = cidHead): void {
  into.reserve(59);
  let position = into.length;
  for (let index = 0; index < 7; index++) into.buffer[position++] = head[index]!;
  // The head ends within the letter that holds the first three bits.
  into.buffer[position++] = base32[source[at]! >>> 5]!;
  into.buffer[position++] = base32[source[at]! & 31]!;
  into.length = position;
  appendBase32(into, source, at + 1, at + 31);
  into.buffer[into.length++] = base32[source[at + 31]! >>> 3]!;
  into.buffer[into.length++] = base32[(source[at + 31]! & 7) << 2]!;
}

/**
 * Reads the 52 letters behind the head of a CID into the 32 bytes of its digest at `into[at..]`.
 *
 * Returns: false, with nothing said about `into`, when they are not those of a digest.
 */
export function packDigest(source: Buffer, start: number, into: Buffer, at: number): boolean {
  const first = base32Values[source[start]!]!;
  const second = base32Values[source[start + 1]!]!;
  const last = base32Values[source[start + 51]!]!;
  const lastButOne = base32Values[source[start + 50]!]!;
  if (first > 7 || (second | lastButOne | last) > 31 || (last & 3) !== 0) return false;
  into[at] = (first << 5) | second;
  into[at + 31] = (lastButOne << 3) | (last >>> 2);
  return packBase32(source, start + 2, start + 50, into, at + 1);
}
