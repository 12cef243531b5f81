/** (owner, ageAssurance) → what is known about an actor's age. It goes with its account. */
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import type { AgeAssuranceChange } from '../../entry/entry.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** Texts are '' when they were never set. */
export type AgeAssuranceRow = {
  readonly status: string;
  readonly access: string;
  readonly countryCode: string;
  readonly regionCode: string;
  readonly lastInitiatedMs: number | null;
};

const valueWriter = sharedWriter(128);

function rowKey(owner: number): Buffer {
  return beginKey(owner, tableCode.ageAssurance).finish();
}

/** Returns what is known about an owner's age, or undefined for nothing. */
export function getAgeAssurance(state: SlotState, owner: number): AgeAssuranceRow | undefined {
  const value = state.rows.getVolatile(rowKey(owner));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  return {
    status: reader.text(),
    access: reader.text(),
    countryCode: reader.text(),
    regionCode: reader.text(),
    lastInitiatedMs: reader.remaining < timeBytes ? null : readEntryTime(reader),
  };
}

/** Changes what is known: null in `change` leaves a field; null instead of one removes the row. */
export function changeAgeAssurance(state: SlotState, owner: number, change: AgeAssuranceChange | null): void {
  if (change === null) return removeAgeAssurance(state, owner);
  const before = getAgeAssurance(state, owner);
  valueWriter.text(change.status).text(change.access ?? before?.access ?? '');
  valueWriter.text(change.countryCode ?? before?.countryCode ?? '');
  valueWriter.text(change.regionCode ?? before?.regionCode ?? '');
  const lastInitiatedMs = change.lastInitiatedMs ?? before?.lastInitiatedMs ?? null;
  if (lastInitiatedMs !== null) writeEntryTime(valueWriter, lastInitiatedMs);
  state.rows.put(rowKey(owner), valueWriter.finish());
}

/** Removes what is known about an owner's age. */
export function removeAgeAssurance(state: SlotState, owner: number): void {
  state.rows.remove(rowKey(owner));
}
