/**
 * How many actors of the slot were first seen when: (slot-wide, newActors, span, index) → count,
 * for each minute, hour and day that has any, so that a long range is few rows.
 */
import type { Table } from '../../storage/environment.ts';
import { beginSlotKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Counts are to the minute. */
export const minuteMs = 60_000;
/** Units: ms. Each is a multiple of the one before. Their order is part of the stored format. */
const spans = [minuteMs, 3_600_000, 86_400_000] as const;

const value = Buffer.allocUnsafeSlow(4);

function countKey(span: number, index: number): Buffer {
  return beginSlotKey(tableCode.newActors).u8(span).u32(index).finish();
}

/** Counts an actor that was first seen at a time, or that is gone. */
export function countNewActor({ newActorsByMinute }: SlotState, seenMs: number, change: 1 | -1): void {
  const minute = Math.max(0, Math.floor(seenMs / minuteMs));
  newActorsByMinute.set(minute, (newActorsByMinute.get(minute) ?? 0) + change);
}

/** Writes the counts that a transaction changed: a backfill brings many actors of one day. */
export function flushNewActors({ rows, newActorsByMinute }: SlotState): void {
  if (newActorsByMinute.size === 0) return;
  for (const [span, spanMs] of spans.entries()) {
    const changes = new Map<number, number>();
    for (const [minute, change] of newActorsByMinute) {
      const index = Math.floor((minute * minuteMs) / spanMs);
      changes.set(index, (changes.get(index) ?? 0) + change);
    }
    for (const [index, change] of changes) if (change !== 0) addToSpan(rows, countKey(span, index), change);
  }
  newActorsByMinute.clear();
}

function addToSpan(rows: Table, key: Buffer, change: number): void {
  const count = (rows.getVolatile(key)?.readUInt32BE(0) ?? 0) + change;
  if (count <= 0) return rows.remove(key);
  value.writeUInt32BE(count, 0);
  rows.put(key, value);
}

/** A part of a range: the whole spans from one index up to another. */
export type RangePart = { readonly span: number; readonly from: number; readonly to: number };

/** Splits `[startMs, endMs)`, to the minute, into spans that are as long as fit. */
export function partsOfRange(startMs: number, endMs: number): RangePart[] {
  const parts: RangePart[] = [];
  let [from, to] = [Math.max(0, Math.floor(startMs / minuteMs)), Math.max(0, Math.floor(endMs / minuteMs))];
  for (const [span, spanMs] of spans.entries()) {
    if (from >= to) break;
    const next = spans[span + 1];
    const perNext = next === undefined ? 1 : next / spanMs;
    const [innerFrom, innerTo] = [Math.ceil(from / perNext), Math.floor(to / perNext)];
    if (next === undefined || innerFrom >= innerTo) {
      parts.push({ span, from, to });
      break;
    }
    parts.push({ span, from, to: innerFrom * perNext }, { span, from: innerTo * perNext, to });
    [from, to] = [innerFrom, innerTo];
  }
  return parts.filter((part) => part.from < part.to);
}

/** Rows of a part that are read at a time. */
export const newActorRowsMax = 500;

/** Returns how many are in up to `newActorRowsMax` rows, and the rest of the part or null. */
export function countPart({ rows }: SlotState, part: RangePart): { count: number; rest: RangePart | null } {
  const { span, from, to } = part;
  let [count, read, last] = [0, 0, from];
  const end = countKey(span, to);
  for (const row of rows.scan({ start: countKey(span, from), end, limit: newActorRowsMax })) {
    const reader = readKey(row.key);
    reader.u8();
    last = reader.u32();
    count += row.value.readUInt32BE(0);
    read++;
  }
  return { count, rest: read < newActorRowsMax ? null : { span, from: last + 1, to } };
}
