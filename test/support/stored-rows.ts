/** What rows of the state table hold, for tests and benches that look at all of them. */
import { writeDid, writeRkey } from '../../src/atproto/compact-key.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { writeEntryTime } from '../../src/base/time-bytes.ts';
import { type ActorCountName, actorCountNames } from '../../src/slot/table/actor-counts.ts';
import { counterAt } from '../../src/slot/table/counter-row.ts';
import { incomingActorPrefix } from '../../src/slot/table/incoming-edge.ts';
import { type Notice, readNotice } from '../../src/slot/table/notice.ts';
import { type RecordCountName, recordCountNames } from '../../src/slot/table/record-counts.ts';
import { beginKey, keyHead, type SlotState, tableCode } from '../../src/slot/table/slot-state.ts';
import { getNotificationSeen, noticeKeyAt, noticePrefix } from '../../src/slot/table/unread-count.ts';
import { prefixEnd } from '../../src/storage/environment.ts';

/** Returns the table of a key. */
export function tableOfKey(key: Buffer): number {
  return key.readUInt32BE(0) % keyHead(1, 0);
}

function countsOf<Name extends string>(names: readonly Name[], row: Buffer | undefined): Record<Name, number> {
  const entries = names.map((name, index) => [name, row === undefined ? 0 : counterAt(row, index)] as const);
  return Object.fromEntries(entries) as Record<Name, number>;
}

/** Returns the counts of an actor by name; all are 0 without a row. */
export function actorCountsOf(state: SlotState, owner: number): Record<ActorCountName, number> {
  return countsOf(actorCountNames, state.rows.getVolatile(beginKey(owner, tableCode.actorCounts).finish()));
}

/** Returns the counts of a record by name; all are 0 without a row. */
export function recordCountsOf(state: SlotState, key: Buffer): Record<RecordCountName, number> {
  return countsOf(recordCountNames, state.rows.getVolatile(key));
}

/** True unless a notice's record is gone; only `verified` and `unverified` outlive theirs. */
function isRecordThere(state: SlotState, owner: number, { reason, source, sortMs }: Notice): boolean {
  if (reason !== 'verified') return reason !== 'unverified';
  const edge = new ByteWriter(256).bytes(incomingActorPrefix(owner, 'verification'));
  writeEntryTime(edge, sortMs);
  writeDid(edge, source.did);
  writeRkey(edge, source.rkey);
  return state.rows.has(edge.finish());
}

/** Counts an owner's unread notices one by one, as the kept count must be after all `continue`. */
export function unreadByCounting(state: SlotState, owner: number, did: string): number {
  const seenMs = getNotificationSeen(state, owner);
  const prefix = noticePrefix(owner);
  const start = seenMs === null ? prefix : noticeKeyAt(owner, seenMs + 1);
  let count = 0;
  for (const { key, value } of [...state.rows.scan({ start, end: prefixEnd(prefix) })]) {
    const notice = readNotice(key, value, did);
    if (!notice.isTakenDown && notice.isMuted !== true && isRecordThere(state, owner, notice)) count++;
  }
  return count;
}
