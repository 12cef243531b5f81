/**
 * Reads the block of an edge record in its plain form, without an object on the way.
 *
 * Nine records in ten are in it: `$type`, subject and createdAt in canonical order, all ASCII,
 * createdAt with milliseconds in UTC. What is read is the plain form to the byte; any other block
 * gives undefined and is decoded as every record is.
 */
import { isKeyableDid, parseRecordUri } from '../../atproto/compact-key.ts';
import { type Edge, type EdgeKind, edgeByCollection } from '../../atproto/edge-kind.ts';
import { hasBytesAt } from '../../base/bytes.ts';
import type { PlainEdge } from './edge-record.ts';

export type PlainRecord = { readonly edge: PlainEdge; readonly createdMs: number };

function textHead(bytes: number): number[] {
  return bytes < 24 ? [0x60 | bytes] : [0x78, bytes];
}

function textItem(text: string): Buffer {
  return Buffer.from([...textHead(text.length), ...Buffer.from(text, 'latin1')]);
}

const cidKey = Buffer.concat([Buffer.from([0xa2]), textItem('cid')]);
const uriKey = textItem('uri');
const timeForm = Buffer.from('0000-00-00T00:00:00.000Z', 'latin1');
const timeTextBytes = timeForm.length;
const createdAtKey = Buffer.concat([textItem('createdAt'), Buffer.from(textHead(timeTextBytes))]);

/** What precedes the subject, by kind. */
const headByKind = new Map<EdgeKind, Buffer>();
for (const { kind, collection, plainForm } of edgeByCollection.values()) {
  if (plainForm === null) continue;
  const head = [Buffer.from([0xa3]), textItem('$type'), textItem(collection), textItem('subject')];
  headByKind.set(kind, Buffer.concat(head));
}

/** The end of the last string that was read. */
let end = 0;

/** Reads an ASCII string of less than 64 KiB whose head is at `at`. */
function textAt(block: Buffer, at: number): string | undefined {
  const head = block[at]!;
  let start = at + 1;
  let length = head - 0x60;
  if (head === 0x78) {
    length = block[start++]!;
    if (!(length >= 24)) return undefined;
  } else if (head === 0x79) {
    length = (block[start]! << 8) | block[start + 1]!;
    start += 2;
    if (!(length >= 256)) return undefined;
  } else if (!(length >= 0 && length < 24)) return undefined;
  end = start + length;
  if (end > block.length) return undefined;
  for (let index = start; index < end; index++) if (block[index]! >= 0x80) return undefined;
  return block.latin1Slice(start, end);
}

/** Reads digits; the result is at least 10,000 when a byte is no digit. */
function digitsAt(block: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const digit = block[index]! - 48;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : 1_000_000;
  }
  return value;
}

const punctuationOffsets = [4, 7, 10, 13, 16, 19, 23] as const;
const daysByMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

function daysOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : (daysByMonth[month - 1] ?? 0);
}

/** Reads a time as Date writes it, of years that stored times cover; NaN for others. Units: ms. */
function timeAt(block: Buffer, at: number): number {
  for (const offset of punctuationOffsets) if (block[at + offset] !== timeForm[offset]) return Number.NaN;
  const year = digitsAt(block, at, 4);
  const month = digitsAt(block, at + 5, 2);
  const day = digitsAt(block, at + 8, 2);
  const hour = digitsAt(block, at + 11, 2);
  const minute = digitsAt(block, at + 14, 2);
  const second = digitsAt(block, at + 17, 2);
  const millisecond = digitsAt(block, at + 20, 3);
  const isTime =
    year >= 1970 &&
    year < 8000 &&
    day >= 1 &&
    day <= daysOf(year, month) &&
    hour < 24 &&
    minute < 60 &&
    second < 60 &&
    millisecond < 1000;
  return isTime ? Date.UTC(year, month - 1, day, hour, minute, second, millisecond) : Number.NaN;
}

function recordEdgeAt(kind: EdgeKind, block: Buffer, at: number): PlainEdge | undefined {
  if (!hasBytesAt(block, at, cidKey)) return undefined;
  const subjectCid = textAt(block, at + cidKey.length);
  if (subjectCid === undefined || !hasBytesAt(block, end, uriKey)) return undefined;
  const uri = textAt(block, end + uriKey.length);
  const ref = uri === undefined ? undefined : parseRecordUri(uri);
  return ref === undefined ? undefined : { kind, subject: { did: ref.did, ref }, subjectCid };
}

function actorEdgeAt(kind: EdgeKind, block: Buffer, at: number): PlainEdge | undefined {
  const did = textAt(block, at);
  return did !== undefined && isKeyableDid(did) ? { kind, subject: { did, ref: null }, subjectCid: '' } : undefined;
}

/** Reads the block of an edge record; undefined when it is not in plain form. */
export function readPlainBlock({ kind, subject }: Edge, block: Uint8Array): PlainRecord | undefined {
  const head = headByKind.get(kind);
  const bytes = Buffer.isBuffer(block) ? block : Buffer.from(block.buffer, block.byteOffset, block.length);
  if (head === undefined || !hasBytesAt(bytes, 0, head)) return undefined;
  const edgeAt = subject === 'record' ? recordEdgeAt : actorEdgeAt;
  const edge = edgeAt(kind, bytes, head.length);
  if (edge === undefined || !hasBytesAt(bytes, end, createdAtKey)) return undefined;
  const timeStart = end + createdAtKey.length;
  if (bytes.length !== timeStart + timeTextBytes) return undefined;
  const createdMs = timeAt(bytes, timeStart);
  return Number.isNaN(createdMs) ? undefined : { edge, createdMs };
}
