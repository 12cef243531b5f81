/**
 * How many actors joined by a starter pack, in all and by the hour, so that a week is a few rows.
 *
 * (owner, packJoins, collection, rkey, hour) → count; (…, `allTime`) → count. No row for 0. The
 * joins themselves are incoming edges, and pass here one by one.
 */
import { entryTimeBiasMs } from '../../base/time-bytes.ts';
import { type EdgeEffect, incomingRecordPrefix, timedKey } from './incoming-edge.ts';
import { beginRecordKey, type SlotState, tableCode } from './slot-state.ts';

const hourMs = 3_600_000;
/** After every hour. */
const allTime = 0xffff_ffff;
/** Joins within the hour in which a week begins that are looked at; more are not counted. */
const joinsOfHourMax = 1_000;

const value = Buffer.allocUnsafeSlow(4);

/** Returns the hour of a time, counted from year 0. */
function hourOf(timeMs: number): number {
  return Math.max(0, Math.floor((timeMs + entryTimeBiasMs) / hourMs));
}

/** A pack: any record of an owner that profiles name. */
type Pack = { readonly owner: number; readonly collection: string; readonly rkey: string };

function joinsKey({ owner, collection, rkey }: Pack, hour: number): Buffer {
  return beginRecordKey(owner, tableCode.packJoins, collection, rkey).u32(hour).finish();
}

function add({ rows }: SlotState, key: Buffer, change: 1 | -1): void {
  const count = (rows.getVolatile(key)?.readUInt32BE(0) ?? 0) + change;
  if (count <= 0) return void rows.remove(key);
  value.writeUInt32BE(count, 0);
  rows.put(key, value);
}

/** Counts a join that was put, or removed. */
export function countJoin(state: SlotState, owner: number, { subject, sortMs, present }: EdgeEffect): void {
  if (subject === null) return;
  const pack = { owner, collection: subject.collection, rkey: subject.rkey };
  for (const hour of [hourOf(sortMs), allTime]) add(state, joinsKey(pack, hour), present ? 1 : -1);
  state.searchChanges?.look(owner, pack.collection, pack.rkey);
}

/** Returns how many ever joined by a pack. */
export function allJoinsOf({ rows }: SlotState, pack: Pack): number {
  return rows.getVolatile(joinsKey(pack, allTime))?.readUInt32BE(0) ?? 0;
}

/** Returns the joins after a time, and all. The newest are at most some minutes ahead of now. */
export function joinsOf(state: SlotState, pack: Pack, afterMs: number): { recent: number; all: number } {
  const { rows } = state;
  const all = allJoinsOf(state, pack);
  if (all === 0) return { recent: 0, all };
  const firstHour = hourOf(afterMs);
  let recent = 0;
  for (const row of rows.scan({ start: joinsKey(pack, firstHour + 1), end: joinsKey(pack, allTime) })) {
    recent += row.value.readUInt32BE(0);
  }
  const joins = incomingRecordPrefix(pack.owner, pack.collection, pack.rkey, 'join');
  const start = timedKey(joins, afterMs + 1);
  const end = timedKey(joins, (firstHour + 1) * hourMs - entryTimeBiasMs);
  for (const _key of rows.scanKeys({ start, end, limit: joinsOfHourMax })) recent++;
  return { recent, all };
}
