/**
 * Compact, prefix-free, order-preserving bytes for DIDs, rkeys and record refs in storage keys.
 *
 * A `did:plc` is a tag and 15 bytes, a TID the 8 bytes of its number, everything else is
 * length-prefixed. Each value has exactly one encoding, so equal keys never depend on spelling.
 */
import { isValidDid, isValidNsid, isValidRecordKey } from '@atproto/syntax';
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { collectionCode, collectionOfCode } from './collection.ts';
import { packPlc, plcIdBytes, unpackPlc } from './did-plc.ts';
import { packTidText, tidBytes, unpackTid } from './tid.ts';

/** The parts of an AT-URI. */
export type RecordRef = { readonly did: string; readonly collection: string; readonly rkey: string };

/** Longer DIDs are refused at the edges, so that keys fit LMDB's limit. Units: characters. */
export const didLengthMax = 256;
/** The protocol's own limit for record keys. Units: characters. */
export const rkeyLengthMax = 512;

/** True for a valid DID that fits keys. Checks every DID from outside. */
export function isKeyableDid(did: string): boolean {
  return did.length <= didLengthMax && isValidDid(did);
}

/** Precedes a DID: the 15 bytes of a did:plc, or a length-delimited text. */
export const didTag = { plc: 1, other: 2 } as const;
/** Added to another tag, which is below it, in the same byte: 15 bytes of a did:plc follow. */
export const plcFollows = 0x80;
/** Precedes a record key that is not a TID. The first byte of an eight-byte TID is below these. */
export const rkeyTag = { self: 0x80, other: 0x81 } as const;
/** Precedes the text of a collection without a code. */
export const collectionTagOther = 255;

const plcScratch = Buffer.alloc(1 + plcIdBytes);
const tidScratch = Buffer.alloc(tidBytes);

/** Writes a tag and the 15 bytes of a did:plc; writes nothing for any other DID. */
function writePlc(writer: ByteWriter, tag: number, did: string): boolean {
  if (!packPlc(did, plcScratch, 1)) return false;
  plcScratch[0] = tag;
  writer.bytes(plcScratch);
  return true;
}

/**
 * Writes a DID so that the bytes of no other DID equal or start with these.
 *
 * Errors: InvariantError above `didLengthMax`, which the edges refuse.
 */
export function writeDid(writer: ByteWriter, did: string): void {
  invariant(did.length <= didLengthMax, 'a DID inside a key is within didLengthMax');
  if (!writePlc(writer, didTag.plc, did)) writer.u8(didTag.other).text(did);
}

/** Reads what `writeDid` wrote. The text is a copy, so the key's memory may be reused. */
export function readDid(reader: ByteReader): string {
  return reader.u8() === didTag.other ? reader.text() : readPlc(reader);
}

/** Passes what `writeDid` wrote. */
export function skipDid(reader: ByteReader): void {
  if (reader.u8() === didTag.other) reader.lengthDelimitedRange();
  else reader.skip(plcIdBytes);
}

/** Writes a byte below 128 and a DID; for a did:plc both share one byte. */
export function writeTaggedDid(writer: ByteWriter, tag: number, did: string): void {
  if (!writePlc(writer, plcFollows | tag, did)) writeDid(writer.u8(tag), did);
}

/** Reads what `writeTaggedDid` wrote. */
export function readTaggedDid(reader: ByteReader): { readonly tag: number; readonly did: string } {
  const tag = reader.u8();
  return tag < plcFollows ? { tag, did: readDid(reader) } : { tag: tag - plcFollows, did: readPlc(reader) };
}

function readPlc(reader: ByteReader): string {
  const at = reader.position;
  reader.skip(plcIdBytes);
  return unpackPlc(reader.buffer, at);
}

/**
 * Writes a record key. TIDs stay in time order, which walks of records depend on.
 *
 * Errors: InvariantError above `rkeyLengthMax`, which the edges refuse.
 */
export function writeRkey(writer: ByteWriter, rkey: string): void {
  if (packTidText(rkey, tidScratch, 0)) {
    writer.bytes(tidScratch);
    return;
  }
  invariant(rkey.length <= rkeyLengthMax, 'a record key is within rkeyLengthMax');
  if (rkey === 'self') writer.u8(rkeyTag.self);
  else writer.u8(rkeyTag.other).text(rkey);
}

/** Reads what `writeRkey` wrote. The text is a copy. */
export function readRkey(reader: ByteReader): string {
  const at = reader.position;
  const tag = reader.peek();
  if (tag < rkeyTag.self) {
    reader.skip(tidBytes);
    return unpackTid(reader.buffer, at);
  }
  reader.skip(1);
  return tag === rkeyTag.self ? 'self' : reader.text();
}

/** Passes what `writeRkey` wrote. */
export function skipRkey(reader: ByteReader): void {
  const tag = reader.peek();
  if (tag < rkeyTag.self) reader.skip(tidBytes);
  else if (reader.skip(1) && tag !== rkeyTag.self) reader.lengthDelimitedRange();
}

/** What `writeDid` and `writeRkey` write of a did:plc and a TID, as most records have. */
export const plcAndTidBytes = 1 + plcIdBytes + tidBytes;

/** True when a did:plc and a TID follow each other at `source[at..]`. */
export function isPlcAndTid(source: Uint8Array, at: number): boolean {
  return source[at] === didTag.plc && source[at + 1 + plcIdBytes]! < rkeyTag.self;
}

/** Writes a collection as its one-byte code, or as text (in references) when it has none. */
export function writeCollection(writer: ByteWriter, collection: string): void {
  const code = collectionCode(collection);
  if (code === undefined) writer.u8(collectionTagOther).text(collection);
  else writer.u8(code);
}

/** Reads what `writeCollection` wrote. Errors: MalformedBytes for an unassigned code. */
export function readCollection(reader: ByteReader): string {
  const code = reader.u8();
  return code === collectionTagOther ? reader.text() : knownCollection(reader, code);
}

function knownCollection(reader: ByteReader, code: number): string {
  return collectionOfCode(code) ?? reader.fail('a collection of an unknown code');
}

/** Writes DID, collection and rkey. The bytes of no other reference equal or start with these. */
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

/** Passes what `writeRecordRef` wrote. */
export function skipRecordRef(reader: ByteReader): void {
  if (reader.peek() >= plcFollows) reader.skip(1 + plcIdBytes);
  else {
    skipDid(reader);
    if (reader.u8() === collectionTagOther) reader.lengthDelimitedRange();
  }
  skipRkey(reader);
}

/**
 * Splits `at://did/collection/rkey` into parts that are valid and fit keys. Returns undefined for
 * anything else, such as a handle: no such record can be stored, or be pointed at.
 */
export function parseRecordUri(uri: string): RecordRef | undefined {
  if (!uri.startsWith('at://did:')) return undefined;
  const first = uri.indexOf('/', 5);
  const second = first < 0 ? -1 : uri.indexOf('/', first + 1);
  if (second < 0) return undefined;
  const did = uri.slice(5, first);
  const collection = uri.slice(first + 1, second);
  const rkey = uri.slice(second + 1);
  const isKnown = collectionCode(collection) !== undefined;
  const isWhole = (isKnown || isValidNsid(collection)) && isValidRecordKey(rkey) && isKeyableDid(did);
  return isWhole ? { did, collection, rkey } : undefined;
}

/** Returns the AT-URI of a record, the inverse of `parseRecordUri`. */
export function recordUri(ref: RecordRef): string {
  return `at://${ref.did}/${ref.collection}/${ref.rkey}`;
}
