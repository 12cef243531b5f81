/**
 * Compact, prefix-free, order-preserving bytes for DIDs, record keys and record references inside storage keys.
 *
 * A `did:plc` is 15 bytes behind a tag, a TID the 8 bytes of its number, everything else is length-prefixed. One value has
 * exactly one encoding, so equal keys never depend on spelling.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { collectionCode, collectionOfCode } from './collection.ts';

/** One record of one repo: the three parts of an AT-URI. */
export type RecordRef = { readonly did: string; readonly collection: string; readonly rkey: string };

/** DIDs above this are refused at the edges, so that every key stays below LMDB's key limit. Units: characters. */
export const didLengthMax = 256;
/** The protocol's own limit for record keys. Units: characters. */
export const rkeyLengthMax = 512;

const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const tidAlphabet = '234567abcdefghijklmnopqrstuvwxyz';

function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(255);
  for (let value = 0; value < alphabet.length; value++) values[alphabet.charCodeAt(value)] = value;
  return values;
}

const base32Values = valuesOf(base32Alphabet);
const tidValues = valuesOf(tidAlphabet);

const didTag = { plc: 1, other: 2 } as const;
/** A tag below this may stand for something else and, with this added, say as well that a did:plc follows. */
const plcFollows = 0x80;
/** TIDs of this century are below 2^63, so that they need no tag: their first byte is below these. Later ones are written as text. */
const rkeyTag = { self: 0x80, other: 0x81 } as const;
/** The one byte of the record key `self`. */
export const selfRkeyByte = rkeyTag.self;
const collectionTagOther = 255;

/** Writes a tag and 24 base32 characters as 15 bytes; false, with nothing written, for any other DID. */
function writePlc(writer: ByteWriter, tag: number, did: string): boolean {
  if (did.length !== 32 || !did.startsWith('did:plc:')) return false;
  for (let index = 8; index < 32; index++) {
    const code = did.charCodeAt(index);
    if (code > 127 || base32Values[code] === 255) return false;
  }
  writer.u8(tag);
  for (let index = 8; index < 32; index += 8) {
    let high = 0;
    for (let digit = 0; digit < 4; digit++) high = (high << 5) | base32Values[did.charCodeAt(index + digit)]!;
    let low = 0;
    for (let digit = 4; digit < 8; digit++) low = (low << 5) | base32Values[did.charCodeAt(index + digit)]!;
    writer
      .u8(high >>> 12)
      .u8((high >>> 4) & 255)
      .u8(((high & 15) << 4) | (low >>> 16))
      .u8((low >>> 8) & 255)
      .u8(low & 255);
  }
  return true;
}

/**
 * Writes a DID so that no other DID has the same bytes or begins with them.
 *
 * Errors: InvariantError above `didLengthMax`, which the edges refuse before it comes to a key.
 */
export function writeDid(writer: ByteWriter, did: string): void {
  invariant(did.length <= didLengthMax, 'a DID inside a key is within didLengthMax');
  if (!writePlc(writer, didTag.plc, did)) writer.u8(didTag.other).text(did);
}

const base32Codes = Buffer.from(base32Alphabet, 'latin1');
const plcScratch = Buffer.from('did:plc:'.padEnd(32, 'a'), 'latin1');

/** Reads what `writeDid` wrote; the text is a copy, so the key may be memory that is used again. */
export function readDid(reader: ByteReader): string {
  return reader.u8() === didTag.other ? reader.text() : readPlc(reader);
}

/** Writes a byte below 128 and a DID, which for a did:plc share their tag. */
export function writeTaggedDid(writer: ByteWriter, tag: number, did: string): void {
  if (!writePlc(writer, plcFollows | tag, did)) writeDid(writer.u8(tag), did);
}

/** Reads what `writeTaggedDid` wrote. */
export function readTaggedDid(reader: ByteReader): { readonly tag: number; readonly did: string } {
  const tag = reader.u8();
  return tag < plcFollows ? { tag, did: readDid(reader) } : { tag: tag - plcFollows, did: readPlc(reader) };
}

function readPlc(reader: ByteReader): string {
  const bytes = reader.bytes(15);
  let position = 8;
  for (let index = 0; index < 15; index += 5) {
    const high = (bytes[index]! << 12) | (bytes[index + 1]! << 4) | (bytes[index + 2]! >>> 4);
    const low = ((bytes[index + 2]! & 15) << 16) | (bytes[index + 3]! << 8) | bytes[index + 4]!;
    for (let shift = 15; shift >= 0; shift -= 5) plcScratch[position++] = base32Codes[(high >>> shift) & 31]!;
    for (let shift = 15; shift >= 0; shift -= 5) plcScratch[position++] = base32Codes[(low >>> shift) & 31]!;
  }
  return plcScratch.latin1Slice(0, 32);
}

/** The words of the last TID that `parseTid` accepted. */
let tidHigh = 0;
let tidLow = 0;

/** Takes 13 characters of five bits each, the first of four, apart into two words; false for anything else. */
function parseTid(rkey: string): boolean {
  if (rkey.length !== 13) return false;
  let high = 0;
  let low = 0;
  for (let index = 0; index < 13; index++) {
    const code = rkey.charCodeAt(index);
    const value = code > 127 ? 255 : tidValues[code]!;
    if (value > (index === 0 ? 15 : 31)) return false;
    if (index < 6) high = high * 32 + value;
    else if (index > 6) low = low * 32 + value;
    else {
      high = high * 8 + (value >>> 2);
      low = value & 3;
    }
  }
  tidHigh = high;
  tidLow = low;
  return true;
}

/** True for a TID that is written as its number. */
function parseShortTid(rkey: string): boolean {
  return parseTid(rkey) && tidHigh < 2 ** 31;
}

/** Returns the time in a timestamp identifier that keys hold as a number, or undefined for any other key. Units: ms. */
export function tidMs(rkey: string): number | undefined {
  return parseShortTid(rkey) ? (tidHigh * 2 ** 22 + (tidLow >>> 10)) / 1000 : undefined;
}

/** True for a timestamp identifier, whose order is its time order. */
export function isTid(rkey: string): boolean {
  return parseTid(rkey);
}

/**
 * Writes a record key; TIDs stay in time order among each other, which the walks of records depend on.
 *
 * Errors: InvariantError above `rkeyLengthMax`, which the edges refuse before it comes to a key.
 */
export function writeRkey(writer: ByteWriter, rkey: string): void {
  if (parseShortTid(rkey)) {
    writer.u32(tidHigh).u32(tidLow);
    return;
  }
  invariant(rkey.length <= rkeyLengthMax, 'a record key is within rkeyLengthMax');
  if (rkey === 'self') writer.u8(rkeyTag.self);
  else writer.u8(rkeyTag.other).text(rkey);
}

/** Reads what `writeRkey` wrote; the text is a copy. */
export function readRkey(reader: ByteReader): string {
  const tag = reader.peek();
  if (tag < rkeyTag.self) return tidOfWords(reader.u32(), reader.u32());
  reader.skip(1);
  return tag === rkeyTag.self ? 'self' : reader.text();
}

const tidCodes = Buffer.from(tidAlphabet, 'latin1');
const tidScratch = Buffer.alloc(13);

function tidOfWords(high: number, low: number): string {
  for (let index = 0; index < 6; index++) tidScratch[index] = tidCodes[(high >>> (28 - 5 * index)) & 31]!;
  tidScratch[6] = tidCodes[((high & 7) << 2) | (low >>> 30)]!;
  for (let index = 7; index < 13; index++) tidScratch[index] = tidCodes[(low >>> (60 - 5 * index)) & 31]!;
  return tidScratch.latin1Slice(0, 13);
}

/** Writes a collection as its one-byte code; one without a code, in a reference to someone else's record, as its text. */
export function writeCollection(writer: ByteWriter, collection: string): void {
  const code = collectionCode(collection);
  if (code === undefined) writer.u8(collectionTagOther).text(collection);
  else writer.u8(code);
}

/** Reads what `writeCollection` wrote. Errors: MalformedBytes for a code that was never given out. */
export function readCollection(reader: ByteReader): string {
  const code = reader.u8();
  return code === collectionTagOther ? reader.text() : knownCollection(reader, code);
}

function knownCollection(reader: ByteReader, code: number): string {
  return collectionOfCode(code) ?? reader.fail('a collection of an unknown code');
}

/** Writes DID, collection and rkey. No reference has the bytes of another or begins with them. */
export function writeRecordRef(writer: ByteWriter, ref: RecordRef): void {
  const code = collectionCode(ref.collection);
  if (code !== undefined && writePlc(writer, plcFollows | code, ref.did)) {
    writeRkey(writer, ref.rkey);
    return;
  }
  writeDid(writer, ref.did);
  writeCollection(writer, ref.collection);
  writeRkey(writer, ref.rkey);
}

/** Reads what `writeRecordRef` wrote. */
export function readRecordRef(reader: ByteReader): RecordRef {
  const tag = reader.peek();
  if (tag >= plcFollows) {
    const collection = knownCollection(reader, reader.u8() & ~plcFollows);
    return { did: readPlc(reader), collection, rkey: readRkey(reader) };
  }
  return { did: readDid(reader), collection: readCollection(reader), rkey: readRkey(reader) };
}

/** Splits `at://did/collection/rkey`. Returns undefined for anything else, handles as authority included. */
export function parseRecordUri(uri: string): RecordRef | undefined {
  if (!uri.startsWith('at://did:')) return undefined;
  const first = uri.indexOf('/', 5);
  if (first < 0) return undefined;
  const second = uri.indexOf('/', first + 1);
  if (second < 0) return undefined;
  const did = uri.slice(5, first);
  const collection = uri.slice(first + 1, second);
  const rkey = uri.slice(second + 1);
  const isWhole = collection.length > 0 && rkey.length > 0 && !/[/?#]/.test(rkey);
  if (!isWhole || did.length > didLengthMax || rkey.length > rkeyLengthMax || collection.length > 317) return undefined;
  return { did, collection, rkey };
}

/** Returns the AT-URI of a record, which `parseRecordUri` takes apart again. */
export function recordUri(ref: RecordRef): string {
  return `at://${ref.did}/${ref.collection}/${ref.rkey}`;
}
