/**
 * What others' records point at: an owner, or one of its records. Written by effects only.
 *
 * (owner, incomingActor, kind, [list,] sort time, source DID, source rkey) → nothing: followers,
 * blockers, lists it is on, verifiers.
 * (owner, incomingRecord, collection, rkey, kind, sort time, source DID, source rkey) → nothing:
 * likes, reposts, quotes and replies of a record; of opt-outs from a list the sort time comes last.
 * The key is the edge's whole identity, so putting or removing it twice changes nothing. Three
 * kinds have a value: a list item when it was indexed, a quote that and its version and verdict, a
 * reply a byte if its gate forbids it.
 */
import {
  type RecordRef,
  readCollection,
  readDid,
  readRecordRef,
  readRkey,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { type EdgeKind, edgeByKind, edgeOfCode } from '../../atproto/edge-kind.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { putTimeAt, readEntryTime, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import type { EffectOf } from '../../entry/entry.ts';
import type { Judged } from '../../entry/gate.ts';
import { beginKey, beginRecordKey, emptyValue, keyHeadOf, readKey, tableCode } from './slot-state.ts';

export type IncomingEdge = { readonly sortMs: number; readonly did: string; readonly rkey: string };

/** Returns the prefix of a kind's edges at an actor, in time order; list items by list first. */
export function incomingActorPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.incomingActor).u8(edgeByKind[kind].code).finish();
}

/** Returns the prefix of a kind's edges at one record, in time order. */
export function incomingRecordPrefix(owner: number, collection: string, rkey: string, kind: EdgeKind): Buffer {
  return beginRecordKey(owner, tableCode.incomingRecord, collection, rkey).u8(edgeByKind[kind].code).finish();
}

/** Returns the prefix of the items by which an actor is on a list: one, or none. */
export function listedPrefix(owner: number, list: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.incomingActor).u8(edgeByKind['list-item'].code);
  writeRecordRef(key, list);
  return key.finish();
}

/** Returns a key within a prefix in time order, before all edges of that time or later. */
export function timedKey(prefix: Buffer, timeMs: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + timeBytes);
  prefix.copy(key);
  putTimeAt(key, prefix.length, timeMs);
  return key;
}

/** Returns where the list ends in the key of an item, in which it begins at `start`. */
export function listEndOfKey(key: Buffer, start: number): number {
  const reader = new ByteReader(key, start);
  readRecordRef(reader);
  return reader.position;
}

/** Reads the rest of an incoming key after a prefix of `prefixLength` bytes. */
export function readIncomingEdge(key: Buffer, prefixLength: number): IncomingEdge {
  const reader = new ByteReader(key, prefixLength);
  return { sortMs: readEntryTime(reader), did: readDid(reader), rkey: readRkey(reader) };
}

export type EdgeEffect = EffectOf<'edge'>;

const valueWriter = sharedWriter(16);

/** Returns the value of an edge. */
export function edgeValue({ edge, judged }: Pick<EdgeEffect, 'edge' | 'judged'>): Buffer {
  if (judged === undefined) return emptyValue;
  if (edge === 'reply') return judged.isViolating ? violatingReply : emptyValue;
  writeEntryTime(valueWriter, judged.eventMs);
  if (edge === 'quote') valueWriter.u48(judged.version).u8(judged.isViolating ? 1 : 0);
  return valueWriter.finish();
}

const violatingReply = Buffer.from([1]);

/** Reads what `edgeValue` wrote of a quote. */
export function readJudgedQuote(value: Buffer): Judged {
  const reader = new ByteReader(value);
  return { eventMs: readEntryTime(reader), version: reader.u48(), isViolating: reader.u8() === 1 };
}

/** Reads the withdrawal of an edge from its key, which does not say whose the subject is. */
export function readEdgeOfKey(key: Buffer): EdgeEffect {
  const reader = readKey(key);
  let subject: RecordRef | null = null;
  if (keyHeadOf(key).table === tableCode.incomingRecord) {
    subject = { did: '', collection: readCollection(reader), rkey: readRkey(reader) };
  }
  const edge = edgeOfCode(reader.u8());
  invariant(edge !== undefined, 'a stored edge is of a known kind');
  const { collection, incomingOrder, subject: subjectKind } = edgeByKind[edge];
  if (subjectKind === 'both') subject = readRecordRef(reader);
  const timeBefore = incomingOrder === 'time' ? readEntryTime(reader) : null;
  const source = { did: readDid(reader), collection, rkey: readRkey(reader) };
  const sortMs = timeBefore ?? readEntryTime(reader);
  return { type: 'edge', edge, present: false, source, subjectDid: '', subject, sortMs };
}

/** Reads a key of an edge at a record of `did`: its post and its reposter, if it is a repost. */
export function readRepostOf(key: Buffer, did: string): { post: RecordRef; reposter: string } | undefined {
  const { edge, source, subject } = readEdgeOfKey(key);
  return edge === 'repost' && subject !== null ? { post: { ...subject, did }, reposter: source.did } : undefined;
}

/** True where the edge points at a record; a list item points at an actor, within a list. */
export function isOnRecord(effect: EdgeEffect): effect is EdgeEffect & { readonly subject: RecordRef } {
  return effect.subject !== null && edgeByKind[effect.edge].subject !== 'both';
}

/** Returns the key of the edge, which is its whole identity. */
export function incomingEdgeKey(owner: number, effect: EdgeEffect): Buffer {
  const { code, incomingOrder } = edgeByKind[effect.edge];
  let key: ByteWriter;
  if (isOnRecord(effect)) {
    const { collection, rkey } = effect.subject;
    key = beginRecordKey(owner, tableCode.incomingRecord, collection, rkey).u8(code);
  } else {
    key = beginKey(owner, tableCode.incomingActor).u8(code);
    if (effect.subject !== null) writeRecordRef(key, effect.subject);
  }
  if (incomingOrder === 'time') writeEntryTime(key, effect.sortMs);
  writeDid(key, effect.source.did);
  writeRkey(key, effect.source.rkey);
  if (incomingOrder === 'maker') writeEntryTime(key, effect.sortMs);
  return key.finish();
}
