/** Threads that an owner has muted: (owner, threadMute, root) → clears, as of mutes of lists. */
import { type RecordRef, writeRecordRef } from '../../atproto/compact-key.ts';
import { sharedWriter } from '../../base/bytes.ts';
import { clearsOfListMute } from './mute.ts';
import { clearCount } from './mute-clears.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';
import { ownerMark, setOwnerMark } from './unread-count.ts';

const valueWriter = sharedWriter(16);

function threadMuteKey(owner: number, root: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.threadMute);
  writeRecordRef(key, root);
  return key.finish();
}

/** Returns the prefix of the owner's mutes of threads. */
export function threadMutePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.threadMute).finish();
}

/** True when the owner has muted the thread of a root. */
export function hasThreadMute(state: SlotState, owner: number, root: RecordRef): boolean {
  const value = state.rows.getVolatile(threadMuteKey(owner, root));
  if (value === undefined) return false;
  const clears = clearsOfListMute(value);
  return clears === clearCount(state, owner, 'thread');
}

/** Mutes a thread. The owner's mark stays for good: it only saves look-ups. */
export function putThreadMute(state: SlotState, owner: number, root: RecordRef): void {
  const clears = clearCount(state, owner, 'thread');
  state.rows.put(threadMuteKey(owner, root), valueWriter.u32(clears).finish());
  setOwnerMark(state, owner, ownerMark.mutesThreads, true);
}

/** Ends the mute of a thread, if there is one. */
export function removeThreadMute(state: SlotState, owner: number, root: RecordRef): void {
  state.rows.remove(threadMuteKey(owner, root));
}
