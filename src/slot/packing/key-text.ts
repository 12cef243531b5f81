/**
 * Renders DIDs, record keys and CIDs from the bytes of `atproto/compact-key.ts` into an answer,
 * without strings, for answers of many items.
 */
import { cidHead, cidTextLength, formatCid } from '../../atproto/cid.ts';
import { collectionOfCode } from '../../atproto/collection.ts';
import { collectionTagOther, didTag, plcFollows, rkeyTag } from '../../atproto/compact-key.ts';
import { formatPlc, plcDidLength, plcIdBytes } from '../../atproto/did-plc.ts';
import { formatTid, tidBytes, tidLength } from '../../atproto/tid.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
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

/** Renders the collection at `at`. Returns the position after it. */
function appendCollection(into: MessageWriter, source: Buffer, at: number): number {
  const code = source[at]!;
  if (code === collectionTagOther) return appendTagged(into, source, at);
  appendCollectionOfCode(into, code);
  return at + 1;
}

function appendCollectionOfCode(into: MessageWriter, code: number): void {
  const collection = collectionOfCode(code);
  invariant(collection !== undefined, 'a stored collection code is known');
  into.ascii(collection);
}

const slash = '/';

/** Renders the AT-URI of the record reference at `at`. Returns the position after it. */
export function appendRecordUri(into: MessageWriter, source: Buffer, at: number): number {
  into.ascii('at://');
  const collectionAt = appendDid(into, source, at);
  into.ascii(slash);
  const first = source[at]!;
  if (first >= plcFollows) {
    appendCollectionOfCode(into, first - plcFollows);
    into.ascii(slash);
    return appendRkey(into, source, collectionAt);
  }
  const rkeyAt = appendCollection(into, source, collectionAt);
  into.ascii(slash);
  return appendRkey(into, source, rkeyAt);
}

/** Renders the CID of a block with the digest at `source[at..]`. */
export function appendCidOfDigest(into: MessageWriter, source: Buffer, at: number): void {
  into.reserve(cidTextLength);
  formatCid(cidHead, source, at, into.buffer, into.length);
  into.length += cidTextLength;
}
