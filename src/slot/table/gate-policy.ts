/**
 * What the gates of a post have said over time: (owner, gatePolicy, gate, rkey) → versions of the
 * rules, and the replies that were hidden, each with its times.
 *
 * A post is judged by the rules of the moment at which it was indexed, whenever it arrives. So old
 * rules stay, up to a limit, also when the gate is gone.
 */
import {
  type RecordRef,
  readDid,
  readRecordRef,
  readRkey,
  recordUri,
  skipDid,
  skipRecordRef,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import { ByteReader, hasBytesAt, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, storedTime, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import { type Gate, gates } from '../../entry/gate.ts';
import { markAskedAbout } from './actor-counts.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** The rules of a gate. Without `isRestricted` everyone may reply or quote. */
export type GateRules = {
  readonly isRestricted: boolean;
  /** Who may reply all the same: the post's mentions, followers, followed actors, listed actors. */
  readonly mentions: readonly string[];
  readonly allowsFollowers: boolean;
  readonly allowsFollowed: boolean;
  readonly lists: readonly RecordRef[];
};

export const openGate: GateRules = {
  isRestricted: false,
  mentions: [],
  allowsFollowers: false,
  allowsFollowed: false,
  lists: [],
};

type Version = { readonly fromMs: number; readonly rules: GateRules };
/** `untilMs` is null while the reply is hidden. */
type Hidden = { readonly reply: RecordRef; readonly fromMs: number; readonly untilMs: number | null };

export type GateHistory = { readonly versions: readonly Version[]; readonly hidden: readonly Hidden[] };

/** Older versions of rules are dropped. */
const versionsMax = 16;
/** Replies that are hidden no more, beyond these, count as if they never were. */
const unhiddenMax = 100;
const policyVersion = 1;
const valueWriter = sharedWriter(1024);
const ruleFlag = { restricted: 1, followers: 2, followed: 4 } as const;

function policyKey(owner: number, gate: Gate, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.gatePolicy).u8(gates.indexOf(gate));
  writeRkey(key, rkey);
  return key.finish();
}

/** Returns the prefix of all policies of an owner. */
export function policyPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.gatePolicy).finish();
}

/** Reads the gate of a key of this table, and the rkey of its post. */
export function readPolicyKey(key: Buffer): { readonly gate: Gate; readonly rkey: string } | undefined {
  const reader = readKey(key);
  const gate = gates[reader.u8()];
  return gate === undefined ? undefined : { gate, rkey: readRkey(reader) };
}

/** Returns the value of a row. */
export function encodeHistory({ versions, hidden }: GateHistory): Buffer {
  valueWriter.u8(policyVersion).varint(versions.length);
  for (const { fromMs, rules } of versions) {
    writeEntryTime(valueWriter, fromMs);
    valueWriter.u8(
      (rules.isRestricted ? ruleFlag.restricted : 0) |
        (rules.allowsFollowers ? ruleFlag.followers : 0) |
        (rules.allowsFollowed ? ruleFlag.followed : 0),
    );
    valueWriter.varint(rules.mentions.length);
    for (const did of rules.mentions) writeDid(valueWriter, did);
    valueWriter.varint(rules.lists.length);
    for (const list of rules.lists) writeRecordRef(valueWriter, list);
  }
  for (const { reply, fromMs, untilMs } of hidden) {
    writeRecordRef(valueWriter, reply);
    writeEntryTime(valueWriter, fromMs);
    valueWriter.u8(untilMs === null ? 0 : 1);
    if (untilMs !== null) writeEntryTime(valueWriter, untilMs);
  }
  return valueWriter.finish();
}

function readerOf(value: Buffer): ByteReader {
  const reader = new ByteReader(value);
  invariant(reader.u8() === policyVersion, 'a row of gate rules has a known format version');
  return reader;
}

function readRules(reader: ByteReader): GateRules {
  const flags = reader.u8();
  const mentions = Array.from({ length: reader.varint() }, () => readDid(reader));
  const lists = Array.from({ length: reader.varint() }, () => readRecordRef(reader));
  const isRestricted = (flags & ruleFlag.restricted) !== 0;
  const allowsFollowers = (flags & ruleFlag.followers) !== 0;
  const allowsFollowed = (flags & ruleFlag.followed) !== 0;
  return { isRestricted, mentions, allowsFollowers, allowsFollowed, lists };
}

function skipRules(reader: ByteReader): void {
  reader.skip(1);
  for (let left = reader.varint(); left > 0; left--) skipDid(reader);
  for (let left = reader.varint(); left > 0; left--) skipRecordRef(reader);
}

/** Reads a row. */
export function decodeHistory(value: Buffer): GateHistory {
  const reader = readerOf(value);
  const versions = Array.from(
    { length: reader.varint() },
    (): Version => ({ fromMs: readEntryTime(reader), rules: readRules(reader) }),
  );
  const hidden: Hidden[] = [];
  while (reader.remaining > 0) {
    const reply = readRecordRef(reader);
    const fromMs = readEntryTime(reader);
    hidden.push({ reply, fromMs, untilMs: reader.u8() === 0 ? null : readEntryTime(reader) });
  }
  return { versions, hidden };
}

/** A row as posts are judged by it, each by one version: only what is asked for is decoded. */
export class GatePolicy {
  readonly #value: Buffer;
  /** The version that was decoded last, by where it begins. */
  #rules: { readonly start: number; readonly rules: GateRules } | null = null;

  constructor(value: Buffer) {
    this.#value = value;
  }

  /** Returns the rules at a time; undefined before the first known ones. */
  rulesAt(timeMs: number): GateRules | undefined {
    const reader = readerOf(this.#value);
    let start = 0;
    for (let left = reader.varint(); left > 0 && readEntryTime(reader) <= timeMs; left--) {
      start = reader.position;
      skipRules(reader);
    }
    if (start === 0) return undefined;
    if (this.#rules?.start !== start) this.#rules = { start, rules: readRules(new ByteReader(this.#value, start)) };
    return this.#rules.rules;
  }

  /** True when a reply was hidden at a time. */
  isHidden(reply: RecordRef, timeMs: number): boolean {
    const value = this.#value;
    writeRecordRef(valueWriter, reply);
    const bytes = valueWriter.finish();
    // Nearly always it is nowhere; where it is, it may be a part of something else.
    if (!value.includes(bytes)) return false;
    const reader = this.#readerOfHidden();
    while (reader.remaining > 0) {
      const isSame = hasBytesAt(value, reader.position, bytes);
      skipRecordRef(reader);
      const fromMs = readEntryTime(reader);
      const isUnhidden = reader.u8() !== 0 && readEntryTime(reader) <= timeMs;
      if (isSame && fromMs <= timeMs && !isUnhidden) return true;
    }
    return false;
  }

  #readerOfHidden(): ByteReader {
    const reader = readerOf(this.#value);
    for (let left = reader.varint(); left > 0; left--) {
      reader.skip(timeBytes);
      skipRules(reader);
    }
    return reader;
  }
}

/**
 * Returns the policy by which a post's replies or quotes are judged; undefined where it never had
 * this gate.
 */
export function getPolicy(state: SlotState, owner: number, gate: Gate, rkey: string): GatePolicy | undefined {
  const value = state.rows.get(policyKey(owner, gate, rkey));
  return value === undefined ? undefined : new GatePolicy(value);
}

/** Returns all versions of a post's gate; undefined where it never had this gate. */
export function getHistory(state: SlotState, owner: number, gate: Gate, rkey: string): GateHistory | undefined {
  const value = state.rows.getVolatile(policyKey(owner, gate, rkey));
  return value === undefined ? undefined : decodeHistory(value);
}

/** What a gate says at one time. */
export type GateContent = { readonly rules: GateRules; readonly hidden: readonly RecordRef[] };

/** True when this is what a gate has said last. */
export function isCurrent(history: GateHistory | undefined, { rules, hidden }: GateContent): boolean {
  const { versions = [], hidden: known = [] } = history ?? {};
  if (!isSameRules(versions.at(-1)?.rules ?? openGate, rules)) return false;
  const now = new Set(hidden.map((reply) => recordUri(reply)));
  const before = known.filter(({ untilMs }) => untilMs === null);
  return before.length === now.size && before.every(({ reply }) => now.has(recordUri(reply)));
}

function isSameRules(a: GateRules | undefined, b: GateRules): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

function changedHidden(before: readonly Hidden[], replies: readonly RecordRef[], timeMs: number): Hidden[] {
  const now = new Map(replies.map((reply) => [recordUri(reply), reply]));
  const hidden: Hidden[] = [];
  for (const item of before) {
    const { untilMs, fromMs } = item;
    // What the owner's log says last is right, also where its times go back.
    if (untilMs === null ? now.delete(recordUri(item.reply)) : untilMs <= timeMs) hidden.push(item);
    else if (fromMs < timeMs) hidden.push({ ...item, untilMs: timeMs });
  }
  for (const reply of now.values()) hidden.push({ reply, fromMs: timeMs, untilMs: null });
  const ended = hidden.filter(({ untilMs }) => untilMs !== null);
  const dropped = new Set(ended.slice(0, Math.max(0, ended.length - unhiddenMax)));
  return hidden.filter((item) => !dropped.has(item));
}

/**
 * Stores what a gate says from a time on, until the next change.
 *
 * Returns: true when that may change the judgement of posts that were indexed since.
 */
export function putRules(
  state: SlotState,
  { owner, gate, rkey }: { readonly owner: number; readonly gate: Gate; readonly rkey: string },
  { rules, hidden }: GateContent,
  timeMs: number,
): boolean {
  const fromMs = storedTime(timeMs);
  const before = getHistory(state, owner, gate, rkey);
  if (before === undefined && !rules.isRestricted && hidden.length === 0) return false;
  const versions = (before?.versions ?? []).filter((version) => version.fromMs < fromMs);
  if (!isSameRules(versions.at(-1)?.rules, rules)) versions.push({ fromMs, rules });
  const policy = {
    versions: versions.slice(-versionsMax),
    hidden: changedHidden(before?.hidden ?? [], hidden, fromMs),
  };
  const key = policyKey(owner, gate, rkey);
  const value = encodeHistory(policy);
  if (state.rows.get(key)?.equals(value)) return false;
  state.rows.put(key, value);
  if (rules.allowsFollowed) markAskedAbout(state, owner);
  return true;
}
