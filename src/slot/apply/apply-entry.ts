/** Dispatches one log entry, or one effect, to the rule that applies it. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import type { ContinueEntry, Effect, Entry, PrivateEntry } from '../../entry/entry.ts';
import { setBlobTakedown } from '../table/actor-row.ts';
import { putNotice, removeNotice, setNoticeTakedown } from '../table/notice.ts';
import { hasRecord } from '../table/record-row.ts';
import { putNotificationSeen, recountUnread } from '../table/unread-count.ts';
import { applyAccount, applyIdentity, changeActor, deleteAccountChunk } from './actor-apply.ts';
import type { ApplyContext } from './apply-context.ts';
import { applyHandleClaim, applyHandleLoss } from './handle-apply.ts';
import { applyEdgeEffect } from './incoming-edge-apply.ts';
import { sendPostExists } from './post-apply.ts';
import { setRecordTakedown } from './record-apply.ts';
import {
  applyCommit,
  applyResyncBegin,
  applyResyncChunk,
  applyResyncEnd,
  applySync,
  sweepResync,
} from './repo-apply.ts';
import { applyPostExists } from './repost-item.ts';
import { applyThreadEffect } from './thread-apply.ts';

/** Applies one entry other than an effect or `delivered`, which need the slot's bookkeeping. */
export function applyEntry(context: ApplyContext, entry: Exclude<Entry, { kind: 'effect' | 'delivered' }>): void {
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
    case 'private':
      return applyPrivate(context, entry);
    case 'continue':
      return applyContinue(context, entry);
  }
}

const unreadRecount = { type: 'unread-recount' } as const;

function applyPrivate(context: ApplyContext, { did, write }: PrivateEntry): void {
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
      if (putNotificationSeen(state, state.ensureOwner(did), write.seenMs)) context.continueWith(did, unreadRecount);
      return;
    case 'upstream-status':
      return changeActor(context, did, { upstreamStatus: write.status });
  }
}

function applyContinue(context: ApplyContext, { did, work }: ContinueEntry): void {
  switch (work.type) {
    case 'delete-account':
      return deleteAccountChunk(context, did, work.originMs);
    case 'resync-sweep':
      return sweepResync(context, did, work.rev, work.after);
    case 'post-exists': {
      const owner = context.state.ownerOf(did);
      // A post that changed since has sent effects of its own, which these must not overwrite.
      const isCurrent = owner !== undefined && hasRecord(context.state, owner, nsid.post, work.rkey) === work.exists;
      if (isCurrent) sendPostExists(context, owner, { did, rkey: work.rkey }, work.exists, work.after);
      return;
    }
    case 'unread-recount': {
      const owner = context.state.ownerOf(did);
      if (owner !== undefined && recountUnread(context.state, owner)) context.continueWith(did, work);
    }
  }
}

/** Applies one effect in the slot of its routing key. Repeating it changes nothing. */
export function applyEffect(context: ApplyContext, effect: Effect): void {
  const { state } = context;
  switch (effect.type) {
    case 'edge':
      return applyEdgeEffect(context, effect);
    case 'thread':
      return applyThreadEffect(context, effect);
    case 'notice': {
      const owner = state.ensureOwner(effect.recipient);
      const subject = effect.reasonSubject === null ? null : (parseRecordUri(effect.reasonSubject) ?? null);
      if (effect.present) putNotice(state, owner, { ...effect, subject });
      else removeNotice(state, owner, effect);
      return;
    }
    case 'notice-takedown': {
      const owner = state.ownerOf(effect.recipient);
      if (owner !== undefined) setNoticeTakedown(state, owner, effect);
      return;
    }
    case 'post-exists':
      return applyPostExists(context, effect);
    case 'handle-claim':
      return applyHandleClaim(context, effect);
    case 'handle-loss':
      return applyHandleLoss(context, effect);
  }
}
