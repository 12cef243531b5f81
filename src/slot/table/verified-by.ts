/**
 * Which trusted verifiers have verified an actor: (owner, verifiedBy) → their verifications, the
 * oldest first. Written by effects only; in one row, since each ActorInfo reads it.
 */
import { readDid, readRkey, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** What a verification says that counts. `handle` and `displayName` are as it was issued. */
export type VerifiedBy = {
  readonly verifier: string;
  readonly rkey: string;
  readonly sortMs: number;
  readonly handle: string;
  readonly displayName: string;
};

/** Operators decide whom they trust, so only they can ask for more. */
export const verifiersOfActorMax = 200;

const writer = sharedWriter(1024);

function rowKey(owner: number): Buffer {
  return beginKey(owner, tableCode.verifiedBy).finish();
}

/** Returns the key of the row, for prefetching. */
export const verifiedByKey = rowKey;

/** Returns the key of one verifier's part of the row among what its source has confirmed. */
export function verifierKey(owner: number, verifier: string): Buffer {
  const key = beginKey(owner, tableCode.verifiedBy);
  writeDid(key, verifier);
  return key.finish();
}

function readVerifiedBy(value: Buffer): VerifiedBy[] {
  const reader = new ByteReader(value);
  const list: VerifiedBy[] = [];
  while (reader.remaining > 0) {
    list.push({
      verifier: readDid(reader),
      rkey: readRkey(reader),
      sortMs: readEntryTime(reader),
      handle: reader.text(),
      displayName: reader.text(),
    });
  }
  return list;
}

/** Returns the verifications of an owner that count, the oldest first. */
export function getVerifiedBy(state: SlotState, owner: number): VerifiedBy[] {
  const value = state.rows.getVolatile(rowKey(owner));
  return value === undefined ? [] : readVerifiedBy(value);
}

function putVerifiedBy(state: SlotState, owner: number, list: readonly VerifiedBy[]): void {
  state.touchedOwners.add(owner);
  if (list.length === 0) return void state.rows.remove(rowKey(owner));
  for (const { verifier, rkey, sortMs, handle, displayName } of list) {
    writeDid(writer, verifier);
    writeRkey(writer, rkey);
    writeEntryTime(writer, sortMs);
    writer.text(handle).text(displayName);
  }
  state.rows.put(rowKey(owner), writer.finish());
}

function oldestFirst(one: VerifiedBy, other: VerifiedBy): number {
  return one.sortMs - other.sortMs || (one.verifier < other.verifier ? -1 : 1);
}

/** Puts the verification of one verifier instead of any that it issued before. */
export function putVerification(state: SlotState, owner: number, verification: VerifiedBy): void {
  const others = getVerifiedBy(state, owner).filter(({ verifier }) => verifier !== verification.verifier);
  if (others.length >= verifiersOfActorMax) return;
  putVerifiedBy(state, owner, [...others, verification].sort(oldestFirst));
}

/** Removes the verification of one verifier: of the record `rkey`, or any for null. */
export function removeVerification(state: SlotState, owner: number, verifier: string, rkey: string | null): void {
  const list = getVerifiedBy(state, owner);
  const kept = list.filter((each) => each.verifier !== verifier || (rkey !== null && each.rkey !== rkey));
  if (kept.length < list.length) putVerifiedBy(state, owner, kept);
}
