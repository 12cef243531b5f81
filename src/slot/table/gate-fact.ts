/**
 * Facts that gates ask for and that may arrive late: whom an owner follows, on which lists it is.
 *
 * (owner, gateFact, ended, kind, subject, end) → beginning: a follow or a list item that is no
 * more. (owner, gateFact, waiting, kind, subject, time of the reply, root rkey, reply rkey) →
 * nothing: a reply that was judged by the fact, and is again when a change at or before its time
 * arrives. (owner, gateFact, asked, reply rkey) → root, version, time and lists of a question.
 */

import { nsid } from '../../atproto/collection.ts';
import {
  type RecordRef,
  readDid,
  readRecordRef,
  readRkey,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, timeAt, writeEntryTime } from '../../base/time-bytes.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { findEdge } from './edge-by-subject.ts';
import { listedPrefix, timedKey } from './incoming-edge.ts';
import { getRecordRow } from './record-row.ts';
import { beginKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';

/**
 * The owner follows an actor, or is on a list. In both kinds of follow the owner follows `did`:
 * `followed` where the owner is the root's author, `follower` where it is the author of the reply.
 */
export type GateFact =
  | { readonly kind: 'followed' | 'follower'; readonly did: string }
  | { readonly kind: 'list-item'; readonly list: RecordRef };

const row = { ended: 0, waiting: 1, asked: 2 } as const;
const factKinds = ['followed', 'list-item', 'follower'] as const satisfies readonly GateFact['kind'][];
/** Ends of one fact; of older ones the replies have long arrived. */
const endsMax = 8;
/** Items of one list about one actor: as many as there are duplicates that took turns. */
const itemsMax = 100;
const valueWriter = sharedWriter(512);

/** Writes a fact in a key. */
export function writeFact(writer: ByteWriter, fact: GateFact): void {
  writer.u8(1 + factKinds.indexOf(fact.kind));
  if (fact.kind === 'list-item') writeRecordRef(writer, fact.list);
  else writeDid(writer, fact.did);
}

/** Reads what `writeFact` wrote. */
export function readFact(reader: ByteReader): GateFact {
  const kind = factKinds[reader.u8() - 1] ?? reader.fail('a fact of an unknown kind');
  return kind === 'list-item' ? { kind, list: readRecordRef(reader) } : { kind, did: readDid(reader) };
}

function beginFact(owner: number, code: number, fact: GateFact): ByteWriter {
  const key = beginKey(owner, tableCode.gateFact).u8(code);
  // A follow has one row for its end, whoever asks.
  writeFact(key, code === row.ended && fact.kind === 'follower' ? { ...fact, kind: 'followed' } : fact);
  return key;
}

/** Returns the prefix of all rows of an owner. */
export function gateFactPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.gateFact).finish();
}

/** Notes that a fact was true from `fromMs` until `untilMs`. */
export function putEnded(state: SlotState, owner: number, fact: GateFact, fromMs: number, untilMs: number): void {
  if (untilMs <= fromMs) return;
  const prefix = beginFact(owner, row.ended, fact).finish();
  const key = beginFact(owner, row.ended, fact);
  writeEntryTime(key, untilMs);
  writeEntryTime(valueWriter, fromMs);
  state.rows.put(key.finish(), valueWriter.finish());
  const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: endsMax + 1 })];
  if (keys.length > endsMax) state.rows.remove(keys[0]!);
}

/** True when the fact was true at a time and has ended since. */
function wasTrueAt(state: SlotState, owner: number, fact: GateFact, timeMs: number): boolean {
  const prefix = beginFact(owner, row.ended, fact).finish();
  const after = beginFact(owner, row.ended, fact);
  writeEntryTime(after, timeMs + 1);
  for (const { value } of state.rows.scan({ start: after.finish(), end: prefixEnd(prefix), limit: endsMax })) {
    if (timeAt(value, 0) <= timeMs) return true;
  }
  return false;
}

/** True when the owner followed the actor, or was on the list, at a time. */
export function isFactAt(state: SlotState, owner: number, fact: GateFact, timeMs: number): boolean {
  if (wasTrueAt(state, owner, fact, timeMs)) return true;
  if (fact.kind !== 'list-item') {
    const rkey = findEdge(state, owner, 'follow', { did: fact.did, ref: null });
    const follow = rkey === undefined ? undefined : getRecordRow(state, owner, nsid.follow, rkey);
    return follow !== undefined && follow.indexedMs <= timeMs;
  }
  const prefix = listedPrefix(owner, fact.list);
  for (const { value } of state.rows.scan({ start: prefix, end: prefixEnd(prefix), limit: itemsMax })) {
    if (timeAt(value, 0) <= timeMs) return true;
  }
  return false;
}

/** A reply that was judged by a fact. */
export type Waiter = { readonly indexedMs: number; readonly rootRkey: string; readonly rkey: string };

function waitingKey(owner: number, fact: GateFact, { indexedMs, rootRkey, rkey }: Waiter): Buffer {
  const key = beginFact(owner, row.waiting, fact);
  writeEntryTime(key, indexedMs);
  writeRkey(key, rootRkey);
  writeRkey(key, rkey);
  return key.finish();
}

/** Stores that a reply was judged by a fact. */
export function putWaiter(state: SlotState, owner: number, fact: GateFact, waiter: Waiter): void {
  state.rows.put(waitingKey(owner, fact, waiter), emptyValue);
}

/** Removes such a row. */
export function removeWaiter(state: SlotState, owner: number, fact: GateFact, waiter: Waiter): void {
  state.rows.remove(waitingKey(owner, fact, waiter));
}

/** Returns the prefix of the replies that were judged by a fact, in the order of their times. */
export function waitersPrefix(owner: number, fact: GateFact): Buffer {
  return beginFact(owner, row.waiting, fact).finish();
}

/** True when a change of the fact at `fromMs` concerns replies. */
export function hasWaitersSince({ rows }: SlotState, owner: number, fact: GateFact, fromMs: number): boolean {
  const prefix = waitersPrefix(owner, fact);
  return rows.hasAny({ start: timedKey(prefix, fromMs), end: prefixEnd(prefix) });
}

/** Reads a key of that prefix. */
export function readWaiter(key: Buffer, prefix: Buffer): Waiter {
  const reader = new ByteReader(key, prefix.length);
  return { indexedMs: readEntryTime(reader), rootRkey: readRkey(reader), rkey: readRkey(reader) };
}

export type Question = Pick<EffectOf<'gate-question'>, 'root' | 'version' | 'indexedMs' | 'allowsFollowers' | 'lists'>;

/** Returns the facts of which one allows the reply. */
export function factsOfQuestion({ root, allowsFollowers, lists }: Question): GateFact[] {
  const listed = lists.map((list): GateFact => ({ kind: 'list-item', list }));
  return allowsFollowers ? [{ kind: 'follower', did: root.did }, ...listed] : listed;
}

function askedKey(owner: number, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.gateFact).u8(row.asked);
  writeRkey(key, rkey);
  return key.finish();
}

/** Stores what a root's slot asks about a reply of the owner, instead of what it asked before. */
export function putQuestion(state: SlotState, owner: number, rkey: string, question: Question): void {
  const { root, version, indexedMs, allowsFollowers, lists } = question;
  removeQuestion(state, owner, rkey);
  const key = askedKey(owner, rkey);
  writeRecordRef(valueWriter, root);
  writeEntryTime(valueWriter.u48(version), indexedMs);
  valueWriter.u8(allowsFollowers ? 1 : 0);
  for (const list of lists) writeRecordRef(valueWriter, list);
  state.rows.put(key, valueWriter.finish());
  for (const fact of factsOfQuestion(question)) putWaiter(state, owner, fact, { indexedMs, rootRkey: root.rkey, rkey });
}

/** Returns what was asked last about a reply. */
export function getQuestion(state: SlotState, owner: number, rkey: string): Question | undefined {
  const value = state.rows.get(askedKey(owner, rkey));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  const root = readRecordRef(reader);
  const version = reader.u48();
  const indexedMs = readEntryTime(reader);
  const allowsFollowers = reader.u8() === 1;
  const lists: RecordRef[] = [];
  while (reader.remaining > 0) lists.push(readRecordRef(reader));
  return { root, version, indexedMs, allowsFollowers, lists };
}

/** Returns the rkey of the reply of a question, or undefined for the key of another row. */
export function readAskedRkey(key: Buffer): string | undefined {
  const reader = readKey(key);
  return reader.u8() === row.asked ? readRkey(reader) : undefined;
}

/** Removes the question about a reply, if one was asked. */
export function removeQuestion(state: SlotState, owner: number, rkey: string): void {
  const asked = getQuestion(state, owner, rkey);
  if (asked === undefined) return;
  state.rows.remove(askedKey(owner, rkey));
  const waiter = { indexedMs: asked.indexedMs, rootRkey: asked.root.rkey, rkey };
  for (const fact of factsOfQuestion(asked)) state.rows.remove(waitingKey(owner, fact, waiter));
}
