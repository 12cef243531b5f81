/**
 * What others' records point at: an owner, or one of its records. Written by effects only.
 *
 * (owner, incomingActor, kind, [list,] sort time, source DID, source rkey) → nothing: followers,
 * blockers, lists it is on, verifiers. (owner, incomingRecord, collection, rkey, kind, sort time,
 * source DID, source rkey) → nothing: likes, reposts, quotes and replies of a record. The key is
 * the edge's whole identity, so putting or taking it away twice changes nothing.
 */
import {
  type RecordRef,
  readDid,
  readRkey,
  writeCollection,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { type EdgeKind, edgeByKind } from '../../atproto/edge-kind.ts';
import { ByteReader } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import type { Effect } from '../../entry/entry.ts';
import { beginKey, tableCode } from './slot-state.ts';

/** Who points here and since when: the source record's sort time, its repo and its rkey. */
export type IncomingEdge = { readonly sortMs: number; readonly did: string; readonly rkey: string };

/**
 * Returns the prefix of all edges of a kind at an actor, in time order; those of list items are
 * grouped by list first.
 */
export function incomingActorPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.incomingActor).u8(edgeByKind[kind].code).finish();
}

/** Returns the prefix of all edges of a kind at one record, in time order. */
export function incomingRecordPrefix(owner: number, collection: string, rkey: string, kind: EdgeKind): Buffer {
  const key = beginKey(owner, tableCode.incomingRecord);
  writeCollection(key, collection);
  writeRkey(key, rkey);
  return key.u8(edgeByKind[kind].code).finish();
}

/** Reads the rest of an incoming key after a prefix of `prefixLength` bytes. */
export function readIncomingEdge(key: Buffer, prefixLength: number): IncomingEdge {
  const reader = new ByteReader(key, prefixLength);
  return { sortMs: readEntryTime(reader), did: readDid(reader), rkey: readRkey(reader) };
}

/** The effect that puts or takes away an incoming edge. */
export type EdgeEffect = Effect & { readonly type: 'edge' };

function actorEdgeKey(owner: number, effect: EdgeEffect): Buffer {
  const key = beginKey(owner, tableCode.incomingActor).u8(edgeByKind[effect.edge].code);
  if (effect.subject !== null) writeRecordRef(key, effect.subject);
  writeEntryTime(key, effect.sortMs);
  writeDid(key, effect.source.did);
  writeRkey(key, effect.source.rkey);
  return key.finish();
}

function recordEdgeKey(owner: number, effect: EdgeEffect, subject: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.incomingRecord);
  writeCollection(key, subject.collection);
  writeRkey(key, subject.rkey);
  key.u8(edgeByKind[effect.edge].code);
  writeEntryTime(key, effect.sortMs);
  writeDid(key, effect.source.did);
  writeRkey(key, effect.source.rkey);
  return key.finish();
}

/**
 * True where the edge points at a record of the owner; a list item points at the owner itself,
 * within a list.
 */
export function isOnRecord(effect: EdgeEffect): effect is EdgeEffect & { readonly subject: RecordRef } {
  return effect.subject !== null && edgeByKind[effect.edge].subject !== 'both';
}

/** Returns the key of the edge, which is its whole identity. */
export function incomingEdgeKey(owner: number, effect: EdgeEffect): Buffer {
  return isOnRecord(effect) ? recordEdgeKey(owner, effect, effect.subject) : actorEdgeKey(owner, effect);
}
