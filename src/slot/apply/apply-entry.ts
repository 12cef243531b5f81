/** Dispatches one log entry, or one effect, to the rule that applies it. */
import { parseRecordUri } from '../../atproto/compact-key.ts';
import type {
  Effect,
  IfAbsentEntry,
  LabelEntry,
  LabelRemovalEntry,
  OutsideEntry,
  PrivateEntry,
} from '../../entry/entry.ts';
import { setBlobTakedown } from '../table/actor-row.ts';
import { putActorTags } from '../table/actor-tags.ts';
import { changeAgeAssurance } from '../table/age-assurance.ts';
import { setImporting } from '../table/import-note.ts';
import { putLabel, removeLabel } from '../table/label.ts';
import { noticeReasonKey, removeNotice, setNoticeTakedown } from '../table/notice.ts';
import { emptyValue } from '../table/slot-state.ts';
import {
  getNotificationSeen,
  ownerMark,
  putNotificationSeen,
  recountRowsMax,
  setOwnerMark,
} from '../table/unread-count.ts';
import { applyAccount, applyIdentity, changeActor } from './actor-apply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { applyGateQuestion, applyVerdict } from './gate-question-apply.ts';
import { applyHandleClaim, applyHandleLoss } from './handle-apply.ts';
import { noteLabelRemoval, noteRemovals, wantedPartOf } from './import-apply.ts';
import { applyEdgeEffect } from './incoming-edge-apply.ts';
import { putJudgedNotice } from './judged-notice.ts';
import { applyMuteWrite } from './mute-apply.ts';
import { applyPrivateData } from './private-data-apply.ts';
import { setRecordTags, setRecordTakedown } from './record-apply.ts';
import { applyRecordWrite } from './repair-apply.ts';
import {
  applyCommit,
  applyImported,
  applyResyncBegin,
  applyResyncChunk,
  applyResyncEnd,
  applyResyncGivenUp,
  applySync,
} from './repo-apply.ts';
import { applyPostExists } from './repost-item.ts';
import { applySuggestions } from './suggestion-apply.ts';
import { applyGateAnswer, applyThreadEffect } from './thread-apply.ts';
import { applyVerifiedBy, setTrustedVerifier } from './verification-apply.ts';

/** Applies one entry from outside. */
export function applyEntry(context: ApplyContext, entry: OutsideEntry): void {
  switch (entry.kind) {
    case 'commit':
      return applyCommit(context, entry);
    case 'sync':
      return applySync(context, entry);
    case 'identity':
      return applyIdentity(context, entry);
    case 'account':
      return applyAccount(context, entry);
    case 'resync-begin':
      return applyResyncBegin(context, entry);
    case 'resync-chunk':
      return applyResyncChunk(context, entry);
    case 'resync-end':
      return applyResyncEnd(context, entry);
    case 'resync-given-up':
      return applyResyncGivenUp(context, entry);
    case 'label':
      return applyLabel(context, entry);
    case 'label-removal':
      return applyLabelRemoval(context, entry);
    case 'imported':
      return applyImported(context, entry);
    case 'if-absent':
      return applyIfAbsent(context, entry);
    case 'private':
      noteRemovals(context, entry.did, entry.write);
      return applyPrivate(context, entry, context.appendMs);
  }
}

/** A label makes no actor known: its subject may be one that was never seen. */
function applyLabel({ state }: ApplyContext, { did, label }: LabelEntry): void {
  putLabel(state, state.ensureOwner(did), label);
}

function applyLabelRemoval(context: ApplyContext, { did, id }: LabelRemovalEntry): void {
  const { state } = context;
  noteLabelRemoval(context, did, id);
  const owner = state.ownerOf(did);
  if (owner !== undefined) removeLabel(state, owner, id);
}

/** What an import brings keeps the times that it had, none of them after the append. */
function applyIfAbsent(context: ApplyContext, entry: IfAbsentEntry): void {
  const wanted = wantedPartOf(context, entry);
  if (wanted?.kind !== 'private' || entry.written === null)
    return wanted === undefined ? undefined : applyEntry(context, wanted);
  const { did, write } = wanted;
  const { createdMs, updatedMs } = entry.written;
  applyPrivate(context, wanted, Math.min(createdMs, context.appendMs));
  if (write.type !== 'private-data' || updatedMs <= createdMs) return;
  applyPrivateData(context, did, { ...write, method: 'update' }, Math.min(updatedMs, context.appendMs));
}

/** Applies a write that was made at `writtenMs`. */
function applyPrivate(context: ApplyContext, { did, write }: PrivateEntry, writtenMs: number): void {
  const { state } = context;
  switch (write.type) {
    case 'actor-takedown':
      return changeActor(context, did, { takedownRef: write.ref });
    case 'record-takedown': {
      const owner = state.ownerOf(did);
      const { collection, rkey, ref } = write;
      if (owner !== undefined) setRecordTakedown(context, owner, { did, collection, rkey }, ref);
      return;
    }
    case 'blob-takedown':
      return setBlobTakedown(state, state.ensureOwner(did), write.cid, write.ref);
    case 'notification-seen':
      return applyNotificationSeen(context, did, write.seenMs);
    case 'upstream-status':
      return changeActor(context, did, { upstreamStatus: write.status });
    case 'suggestions':
      return applySuggestions(state, write.list, write.changes);
    case 'record-tags': {
      const owner = state.ownerOf(did);
      const { collection, rkey, tags } = write;
      if (owner !== undefined) setRecordTags(context, owner, { did, collection, rkey }, tags);
      return;
    }
    case 'actor-tags':
      return putActorTags(state, state.ensureOwner(did), write.tags);
    case 'age-assurance':
      return changeAgeAssurance(state, state.ensureOwner(did), write.change);
    case 'mute':
    case 'unmute':
    case 'clear-mutes':
    case 'list-mute':
    case 'list-unmute':
    case 'clear-list-mutes':
    case 'thread-mute':
    case 'thread-unmute':
    case 'clear-thread-mutes':
      return applyMuteWrite(context, did, write, writtenMs);
    case 'trusted-verifier':
      return setTrustedVerifier(context, did, write.isTrusted);
    case 'notification-priority':
      return applyNotificationPriority(context, did, write.isPriority);
    case 'private-data':
      return applyPrivateData(context, did, write, writtenMs);
    case 'record-put':
    case 'record-delete':
      return applyRecordWrite(context, did, write);
    case 'reindex':
      return context.longWork({ type: 'reindex', did, after: emptyValue });
    case 'import':
      setImporting(state, write.runs);
      return write.runs ? undefined : context.longWork({ type: 'import-notes' });
    case 'erase':
      return context.longWork({ type: 'erase', did, kind: write.kind, originMs: context.appendMs, after: emptyValue });
  }
}

function applyNotificationSeen(context: ApplyContext, did: string, seenMs: number): void {
  if (!putNotificationSeen(context.state, context.state.ensureOwner(did), seenMs)) return;
  // Rows on both sides of the seen time were read.
  context.workUsLeft -= 2 * recountRowsMax * workCostUs.row;
  context.longWork({ type: 'unread-recount', did });
}

/** Who never looked has seen all once it says what it prefers, as on the official plane. */
function applyNotificationPriority(context: ApplyContext, did: string, isPriority: boolean): void {
  const { state } = context;
  const owner = state.ensureOwner(did);
  setOwnerMark(state, owner, ownerMark.prefersFollowed, isPriority);
  state.touchedOwners.add(owner);
  if (getNotificationSeen(state, owner) === null) applyNotificationSeen(context, did, context.appendMs);
}

/** Applies one effect in the slot of its routing key. Repeating it changes nothing. */
export function applyEffect(context: ApplyContext, effect: Effect): void {
  const { state } = context;
  switch (effect.type) {
    case 'edge':
      return applyEdgeEffect(context, effect);
    case 'thread':
      return applyThreadEffect(context, effect);
    case 'verdict':
      return applyVerdict(context, effect);
    case 'gate-question':
      return applyGateQuestion(context, effect);
    case 'gate-answer':
      return applyGateAnswer(context, effect);
    case 'notice': {
      const owner = state.ensureOwner(effect.recipient);
      const subject = effect.reasonSubject === null ? null : (parseRecordUri(effect.reasonSubject) ?? null);
      if (effect.present) {
        if (context.isResent) context.confirm(noticeReasonKey(owner, effect));
        putJudgedNotice(context, owner, { ...effect, subject });
      } else removeNotice(state, owner, effect);
      return;
    }
    case 'notice-takedown': {
      const owner = state.ownerOf(effect.recipient);
      if (owner !== undefined) setNoticeTakedown(state, owner, effect);
      return;
    }
    case 'post-exists':
      return applyPostExists(context, effect);
    case 'verified-by':
      return applyVerifiedBy(context, effect);
    case 'handle-claim':
      return applyHandleClaim(context, effect);
    case 'handle-loss':
      return applyHandleLoss(context, effect);
  }
}
