/**
 * Puts notices, judged by the threads that their recipient has muted.
 *
 * A notice about a post of the owner's is judged when it comes, by the mutes of that moment, as on
 * the official plane: what came before a mute stays listed, and what it hid stays hidden after it.
 */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { isPostReason } from '../../atproto/notice-reason.ts';
import { loadRecord } from '../table/applied-record.ts';
import { type Notice, putNotice } from '../table/notice.ts';
import { replyOf } from '../table/record-values.ts';
import type { SlotState } from '../table/slot-state.ts';
import { hasThreadMute } from '../table/thread-mute.ts';
import { hasOwnerMark, ownerMark } from '../table/unread-count.ts';

/**
 * Puts a notice unless its thread is muted. A post's reason is put all the same, as muted: it is
 * the one that counts, and hides those below it.
 */
export function putJudgedNotice(state: SlotState, owner: number, notice: Notice): void {
  const isMuted = isThreadMuted(state, owner, notice.subject);
  if (!isMuted || isPostReason(notice.reason)) putNotice(state, owner, { ...notice, isMuted });
}

function isThreadMuted(state: SlotState, owner: number, subject: RecordRef | null): boolean {
  if (subject === null || subject.collection !== nsid.post) return false;
  if (!hasOwnerMark(state, owner, ownerMark.mutesThreads)) return false;
  const post = loadRecord(state, owner, subject);
  return post !== undefined && hasThreadMute(state, owner, replyOf(post.value)?.root ?? subject);
}
