/**
 * Who holds a handle: (slot-wide, handle, handle) → verification time, DID, released or not. In the handle's own slot.
 *
 * The claim with the greatest (time, DID) holds. A released claim stays as a row, so that an older claim that arrives late does not
 * win what it would have lost in time.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import type { Effect } from '../../entry/entry.ts';
import type { ApplyContext } from '../apply/apply-context.ts';
import { getActor, putActor } from './actor-row.ts';
import { beginSlotKey, type SlotState, tableCode } from './slot-state.ts';

type HandleRow = { readonly did: string; readonly verifiedMs: number; readonly isReleased: boolean };

const valueWriter = new ByteWriter(300);

function handleKey(handle: string): Buffer {
  return beginSlotKey(tableCode.handle).text(handle).finish();
}

function getHandleRow(state: SlotState, handle: string): HandleRow | undefined {
  const value = state.rows.getVolatile(handleKey(handle));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  return { isReleased: reader.u8() === 1, verifiedMs: readEntryTime(reader), did: readDid(reader) };
}

/** Returns the DID that holds a lower-case handle of this slot. */
export function didOfHandle(state: SlotState, handle: string): string | undefined {
  const row = getHandleRow(state, handle);
  return row === undefined || row.isReleased ? undefined : row.did;
}

function putHandleRow(state: SlotState, handle: string, row: HandleRow): void {
  valueWriter.u8(row.isReleased ? 1 : 0);
  writeEntryTime(valueWriter, row.verifiedMs);
  writeDid(valueWriter, row.did);
  state.rows.put(handleKey(handle), valueWriter.finish());
}

function isLater(a: HandleRow, b: HandleRow): boolean {
  return a.verifiedMs > b.verifiedMs || (a.verifiedMs === b.verifiedMs && a.did > b.did);
}

/** Decides one claim, or the release of one, and tells whoever lost. */
export function applyHandleClaim(context: ApplyContext, effect: Effect & { readonly type: 'handle-claim' }): void {
  const { state } = context;
  const claim = { did: effect.did, verifiedMs: effect.verifiedAtMs, isReleased: !effect.present };
  const holder = getHandleRow(state, effect.handle);
  if (holder === undefined || holder.did === claim.did) {
    if (holder === undefined || !isLater(holder, claim)) putHandleRow(state, effect.handle, claim);
    return;
  }
  const [winner, loser] = isLater(claim, holder) ? [claim, holder] : [holder, claim];
  if (winner === claim) {
    if (claim.isReleased) return;
    putHandleRow(state, effect.handle, claim);
  }
  if (loser.isReleased) return;
  context.send({ type: 'handle-loss', handle: effect.handle, did: loser.did, lostVerifiedAtMs: loser.verifiedMs });
}

/** Takes a handle from an actor, unless its claim is a later one than that which lost. */
export function applyHandleLoss(context: ApplyContext, effect: Effect & { readonly type: 'handle-loss' }): void {
  const owner = context.state.ownerOf(effect.did);
  if (owner === undefined) return;
  const actor = getActor(context.state, owner);
  if (actor === undefined || actor.handle !== effect.handle || actor.handleVerifiedMs > effect.lostVerifiedAtMs) return;
  putActor(context.state, owner, { ...actor, handle: null });
}
