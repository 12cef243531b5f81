/** Which DIDs of one slot the rows of a node's slots name: what that slot must have known. */
import { readDid } from '../atproto/compact-key.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { readEdgeOfKey } from '../slot/table/incoming-edge.ts';
import { beginSlotKey, firstOwnerKey, keyHeadOf, lastOwnerKey, readKey, tableCode } from '../slot/table/slot-state.ts';
import { readReplyOfKey } from '../slot/table/thread-reply.ts';
import { keyAfter, prefixEnd } from '../storage/environment.ts';
import { type DidsPosition, didsOfSlotMax } from '../wire/dids-of-slot.ts';
import type { SlotReader } from './slot-reader.ts';

/** Returns the DID of another slot that a row names by its key, if it is of a table that does. */
function didOfKey(key: Buffer): string | undefined {
  switch (keyHeadOf(key).table) {
    case tableCode.ownerByDid:
      return readDid(readKey(key));
    case tableCode.incomingActor:
    case tableCode.incomingRecord:
      return readEdgeOfKey(key).source.did;
    case tableCode.threadReply:
      return readReplyOfKey(key).did;
    default:
      return undefined;
  }
}

/** Returns one page, of the keys of one slot. The slot itself names its owners, the others rows. */
export function didsOfSlot(
  readers: ReadonlyMap<number, SlotReader>,
  { of, from, slots }: { readonly of: number; readonly from: DidsPosition; readonly slots: number },
): { dids: string[]; next: DidsPosition | null } {
  const own = [...readers.keys()].sort((one, other) => one - other).filter((slot) => slot >= from.slot);
  const [slot, following] = own;
  if (slot === undefined) return { dids: [], next: null };
  const { rows } = readers.get(slot)!.state;
  const owners = beginSlotKey(tableCode.ownerByDid).finish();
  const [first, end] = slot === of ? [owners, prefixEnd(owners)] : [firstOwnerKey(), lastOwnerKey()];
  const isFurther = slot === from.slot && from.after !== '';
  const start = isFurther ? keyAfter(Buffer.from(from.after, 'hex')) : first;
  const keys = [...rows.scanKeys({ start, end, limit: didsOfSlotMax })];
  const dids = new Set<string>();
  for (const key of keys) {
    const did = didOfKey(key);
    if (did !== undefined && slotOf(did, slots) === of) dids.add(did);
  }
  const last = keys.length === didsOfSlotMax ? keys.at(-1)! : undefined;
  const inSlot = last === undefined ? null : { slot, after: last.toString('hex') };
  return { dids: [...dids], next: inSlot ?? (following === undefined ? null : { slot: following, after: '' }) };
}
