/**
 * Renders DIDs, record keys and CIDs from the bytes of `atproto/compact-key.ts` into an answer,
 * without strings, for answers of many items.
 */
import { cidHead, cidTextLength, formatCid } from '../../atproto/cid.ts';
import { collections, nsid } from '../../atproto/collection.ts';
import { collectionTagOther, didTag, isPlcAndTid, plcFollows, rkeyTag } from '../../atproto/compact-key.ts';
import { formatPlc, plcDidLength, plcHead, plcIdBytes } from '../../atproto/did-plc.ts';
import { formatTid, tidBytes, tidLength } from '../../atproto/tid.ts';
import { formatBase32 } from '../../base/base32.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { wireType } from '../../proto/message-decoder.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';

/** Renders a length-delimited string after a tag byte at `at`. Returns the position after it. */
function appendTagged(into: MessageWriter, source: Buffer, at: number): number {
  const reader = new ByteReader(source, at + 1);
  const length = reader.varint();
  const start = reader.position;
  into.raw(source, start, start + length);
  return start + length;
}

/** Renders the DID at `at`. Returns the position after it. */
export function appendDid(into: MessageWriter, source: Buffer, at: number): number {
  if (source[at] === didTag.other) return appendTagged(into, source, at);
  into.reserve(plcDidLength);
  formatPlc(source, at + 1, into.buffer, into.length);
  into.length += plcDidLength;
  return at + 1 + plcIdBytes;
}

/** Renders the record key at `at`. Returns the position after it. */
export function appendRkey(into: MessageWriter, source: Buffer, at: number): number {
  if (source[at] === rkeyTag.self) {
    into.ascii('self');
    return at + 1;
  }
  if (source[at] === rkeyTag.other) return appendTagged(into, source, at);
  into.reserve(tidLength);
  formatTid(source, at, into.buffer, into.length);
  into.length += tidLength;
  return at + tidBytes;
}

const uriStart = Buffer.from('at://');
const plcUriStart = Buffer.concat([uriStart, plcHead]);
const slash = Buffer.from('/');
/** A known collection between two slashes, by its code. */
const pathByCode: Buffer[] = [];
for (const { code, nsid: name } of Object.values(collections)) pathByCode[code] = Buffer.from(`/${name}/`);

function appendPathOfCode(into: MessageWriter, code: number): void {
  const path = pathByCode[code];
  invariant(path !== undefined, 'a stored collection code is known');
  into.bytes(path);
}

/** Renders the collection at `at` between slashes. Returns the position after it. */
export function appendPath(into: MessageWriter, source: Buffer, at: number): number {
  const code = source[at]!;
  if (code !== collectionTagOther) {
    appendPathOfCode(into, code);
    return at + 1;
  }
  into.bytes(slash);
  const end = appendTagged(into, source, at);
  into.bytes(slash);
  return end;
}

/** Renders the AT-URI of the record reference at `at`. Returns the position after it. */
export function appendRecordUri(into: MessageWriter, source: Buffer, at: number): number {
  const first = source[at]!;
  if (first < plcFollows) {
    const collectionAt = appendDid(into.bytes(uriStart), source, at);
    return appendRkey(into, source, appendPath(into, source, collectionAt));
  }
  into.bytes(plcUriStart);
  into.reserve(plcDidLength);
  const idEnd = at + 1 + plcIdBytes;
  into.length = formatBase32(source, at + 1, idEnd, into.buffer, into.length);
  appendPathOfCode(into, first - plcFollows);
  return appendRkey(into, source, idEnd);
}

const postPath = `/${nsid.post}/`;
const postHead = 'at://';
/** The URI of a post of a did:plc with a TID, after its length. */
const plcPostUri = `${postHead}${'did:plc:'.padEnd(plcDidLength, 'a')}${postPath}${'2'.repeat(tidLength)}`;
const plcPostBytes = Buffer.from(`${String.fromCharCode(plcPostUri.length)}${plcPostUri}`, 'latin1');
const plcLettersAt = 1 + postHead.length + plcHead.length;
const tidLettersAt = plcPostBytes.length - tidLength;

/** Renders, as a field, the AT-URI of the post whose DID and record key are at `at`. */
export function appendPostField(into: MessageWriter, number: number, source: Buffer, at: number): void {
  into.varint(number * 8 + wireType.lengthDelimited);
  if (isPlcAndTid(source, at)) {
    into.reserve(plcPostBytes.length);
    const { buffer, length } = into;
    buffer.set(plcPostBytes, length);
    formatBase32(source, at + 1, at + 1 + plcIdBytes, buffer, length + plcLettersAt);
    formatTid(source, at + 1 + plcIdBytes, buffer, length + tidLettersAt);
    into.length = length + plcPostBytes.length;
    return;
  }
  const start = into.beginLengthDelimited();
  into.ascii(postHead);
  const rkeyAt = appendDid(into, source, at);
  into.ascii(postPath);
  appendRkey(into, source, rkeyAt);
  into.end(start, 1);
}

/** Renders the CID of a block with the digest at `source[at..]`. */
export function appendCidOfDigest(into: MessageWriter, source: Buffer, at: number): void {
  into.reserve(cidTextLength);
  formatCid(cidHead, source, at, into.buffer, into.length);
  into.length += cidTextLength;
}
