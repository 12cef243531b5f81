/**
 * Resends under way: (slot-wide, resend, target) → the last key that was scanned, empty at first.
 *
 * One for all targets takes the place of those for single ones.
 */
import { prefixEnd } from '../../storage/environment.ts';
import { beginSlotKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** `after` is the last key of the step before, empty at first. */
export type Resend = { readonly target: number; readonly after: Buffer };

/** A target beyond any slot: all of them. */
export const allTargets = 2 ** 32 - 1;

function resendKey(target: number): Buffer {
  return beginSlotKey(tableCode.resend).u32(target).finish();
}

/** Returns the resend that goes on next. */
export function nextResend(state: SlotState): Resend | undefined {
  const start = beginSlotKey(tableCode.resend).finish();
  for (const { key, value } of state.rows.scan({ start, end: prefixEnd(start), limit: 1 }))
    return { target: readKey(key).u32(), after: value };
  return undefined;
}

/** Returns all resends. */
export function allResends(state: SlotState): Resend[] {
  const start = beginSlotKey(tableCode.resend).finish();
  return [...state.rows.scan({ start, end: prefixEnd(start) })].map(({ key, value }) => {
    return { target: readKey(key).u32(), after: value };
  });
}

/** Begins a resend, or notes how far it is. */
export function putResend(state: SlotState, { target, after }: Resend): void {
  state.rows.put(resendKey(target), after);
}

/** Ends a resend. */
export function removeResend(state: SlotState, target: number): void {
  state.rows.remove(resendKey(target));
}

/** Ends all resends, before one to all targets. */
export function removeResends(state: SlotState): void {
  const start = beginSlotKey(tableCode.resend).finish();
  for (const key of [...state.rows.scanKeys({ start, end: prefixEnd(start) })]) state.rows.remove(key);
}
