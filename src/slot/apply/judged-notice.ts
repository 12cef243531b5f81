/**
 * Puts notices, judged by the threads that their recipient has muted.
 *
 * A notice about a post of the owner's is judged when it comes, by the mutes of that moment, as on
 * the official plane: what came before a mute stays listed, and what it hid stays hidden after it.
 */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { loadRecord } from '../table/applied-record.ts';
import { hasNotice, type Notice, noticesRemovedUpToMs, putNotice } from '../table/notice.ts';
import { replyOf } from '../table/record-values.ts';
import type { SlotState } from '../table/slot-state.ts';
import { hasThreadMute } from '../table/thread-mute.ts';
import { hasOwnerMark, ownerMark } from '../table/unread-count.ts';
import type { ApplyContext } from './apply-context.ts';

/**
 * Puts a notice, as muted if its thread is, so that what repeats it later finds it judged. What a
 * deleted account has lost does not come back when its sources send again.
 */
export function putJudgedNotice({ state, isResent }: ApplyContext, owner: number, notice: Notice): void {
  if (isResent && notice.sortMs <= noticesRemovedUpToMs(state, owner) && !hasNotice(state, owner, notice)) return;
  const isMuted = isThreadMuted(state, owner, notice.subject);
  putNotice(state, owner, isMuted ? { ...notice, isMuted } : notice);
}

function isThreadMuted(state: SlotState, owner: number, subject: RecordRef | null): boolean {
  if (subject === null || subject.collection !== nsid.post) return false;
  if (!hasOwnerMark(state, owner, ownerMark.mutesThreads)) return false;
  const post = loadRecord(state, owner, subject);
  return post !== undefined && hasThreadMute(state, owner, replyOf(post.value)?.root ?? subject);
}
