/**
 * Removes what a source no longer owes this slot: at the end of its bracket, all of its rows that
 * it has not confirmed since the begin.
 *
 * Rows are removed by the rules that would apply the source's own withdrawal, so that counts and
 * notices follow. Tombstones of replies and notices of verifications stay: they are history.
 */
import type { NoticeReason } from '../../atproto/notice-reason.ts';
import type { Effect } from '../../entry/entry.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { feedFlag, putFeedRow, readFeedRow } from '../table/feed-item.ts';
import { claimKey, getHandleRow, handlePrefix, putHandleRow, readHandle } from '../table/handle-claim.ts';
import { readEdgeOfKey } from '../table/incoming-edge.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { type Notice, noticeReasonKey, readNoticeReasons, removeNotice } from '../table/notice.ts';
import { firstOwnerKey, keyHeadOf, lastOwnerKey, type SlotState, tableCode } from '../table/slot-state.ts';
import { getThreadReplyAt, readRootRkey } from '../table/thread-reply.ts';
import { getVerifiedBy, removeVerification, verifierKey } from '../table/verified-by.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { removeEdgeOf } from './incoming-edge-apply.ts';
import { withdrawReply } from './thread-apply.ts';

/**
 * `isSource` is true for a DID of the source, `isSourceHash` for the hash of one, `isConfirmed` for
 * a key sent since the begin.
 */
export type Sweep = {
  readonly context: ApplyContext;
  readonly isSourceHash: (hash: number) => boolean;
  readonly isSource: (did: string) => boolean;
  readonly isConfirmed: (key: Buffer) => boolean;
};

/** Removes what one row of a table holds of the source. Returns whether there was anything. */
type Sweeper = { readonly table: number; sweep(sweep: Sweep, owner: number, key: Buffer): boolean };

function sweepEdge({ context, isSource, isConfirmed }: Sweep, owner: number, key: Buffer): boolean {
  const effect = readEdgeOfKey(key);
  if (!isSource(effect.source.did) || isConfirmed(key)) return false;
  removeEdgeOf(context, owner, effect);
  return true;
}

function sweepReply({ context, isSource, isConfirmed }: Sweep, owner: number, key: Buffer): boolean {
  const row = getThreadReplyAt(context.state, key);
  if (row === undefined || row.deletedMs !== null || !isSource(row.reply.did) || isConfirmed(key)) return false;
  withdrawReply(context, owner, readRootRkey(key), row);
  return true;
}

/** Notices that the slot of their record sends itself; those of edges go with the edge. */
const ownReasons: ReadonlySet<NoticeReason> = new Set([
  'mention',
  'like-via-repost',
  'repost-via-repost',
  'starterpack-joined',
]);

/** True when the source sends this reason of a notice: the root's slot sends those of replies. */
function isNoticeOfSource({ isSource, isSourceHash }: Sweep, { reason, source, rootHash }: Notice): boolean {
  if (ownReasons.has(reason)) return isSource(source.did);
  return reason === 'reply' && rootHash !== undefined && isSourceHash(rootHash);
}

function sweepNotice(sweep: Sweep, owner: number, key: Buffer): boolean {
  const { state } = sweep.context;
  const value = state.rows.get(key);
  const reasons = value === undefined ? [] : readNoticeReasons(key, value);
  const gone = reasons.filter(
    (notice) => isNoticeOfSource(sweep, notice) && !sweep.isConfirmed(noticeReasonKey(owner, notice)),
  );
  for (const notice of gone) removeNotice(state, owner, notice);
  return gone.length > 0;
}

function sweepFeedItem({ context, isSource, isConfirmed }: Sweep, owner: number, key: Buffer): boolean {
  const value = context.state.rows.get(key);
  const item = value === undefined ? undefined : readFeedRow(key, value);
  if (item === undefined || item.post === null || (item.flags & feedFlag.postExists) === 0) return false;
  if (!isSource(item.post.did) || isConfirmed(key)) return false;
  putFeedRow(context.state, owner, { ...item, flags: item.flags & ~feedFlag.postExists });
  return true;
}

/** A claim that its actor no longer makes stays as a released one, which rejects older claims. */
function sweepClaim({ context, isSource, isConfirmed }: Sweep, _owner: number, key: Buffer): boolean {
  const handle = readHandle(key);
  const row = getHandleRow(context.state, handle);
  if (row === undefined || row.isReleased || !isSource(row.did) || isConfirmed(claimKey(handle, row.did))) return false;
  putHandleRow(context.state, handle, { ...row, isReleased: true });
  return true;
}

function sweepVerifications({ context, isSource, isConfirmed }: Sweep, owner: number): boolean {
  const gone = getVerifiedBy(context.state, owner).filter(
    ({ verifier }) => isSource(verifier) && !isConfirmed(verifierKey(owner, verifier)),
  );
  for (const { verifier } of gone) removeVerification(context.state, owner, verifier, null);
  return gone.length > 0;
}

const notices: Sweeper = { table: tableCode.notice, sweep: sweepNotice };

/**
 * By type of effect, the rows that it leaves. A lost handle leaves none. A flag that a verdict left
 * is named to its sender with each reply and quote, which corrects it.
 */
const sweepersByEffect: { readonly [Type in Effect['type']]: readonly Sweeper[] } = {
  edge: [
    { table: tableCode.incomingActor, sweep: sweepEdge },
    { table: tableCode.incomingRecord, sweep: sweepEdge },
  ],
  verdict: [],
  'gate-question': [],
  'gate-answer': [],
  thread: [{ table: tableCode.threadReply, sweep: sweepReply }],
  notice: [notices],
  'notice-takedown': [notices],
  'post-exists': [{ table: tableCode.feed, sweep: sweepFeedItem }],
  'verified-by': [{ table: tableCode.verifiedBy, sweep: sweepVerifications }],
  'handle-claim': [{ table: tableCode.handle, sweep: sweepClaim }],
  'handle-loss': [],
};

const sweeperByTable: ReadonlyMap<number, Sweeper> = new Map(
  Object.values(sweepersByEffect)
    .flat()
    .map((sweeper) => [sweeper.table, sweeper]),
);

const rowsPerPage = 64;

/** Returns the first keys of swept tables after a key: claims of handles, then owners' rows. */
function keysAfter({ rows }: SlotState, after: Buffer): Buffer[] {
  const handles = handlePrefix();
  const start = after.length === 0 ? handles : keyAfter(after);
  const end = prefixEnd(handles);
  const claims = Buffer.compare(start, end) < 0 ? [...rows.scanKeys({ start, end, limit: rowsPerPage })] : [];
  if (claims.length > 0) return claims;
  const first = Buffer.compare(start, firstOwnerKey()) < 0 ? firstOwnerKey() : start;
  return [...rows.scanKeys({ start: first, end: lastOwnerKey(), limit: rowsPerPage })];
}

/** Does a step of a sweep. Returns the rest, or undefined when the bracket is over. */
export function sweepBracket(
  context: ApplyContext,
  work: LongWorkOf<'bracket-sweep'>,
): LongWorkOf<'bracket-sweep'> | undefined {
  const { source, bracket } = work;
  const { brackets, state } = context;
  // The source has begun another one.
  if (brackets.of(source) !== bracket) return undefined;
  const slots = brackets.slotsOf(source);
  const sweep = {
    context,
    isSource: (did: string) => slotOf(did, slots) === source,
    isSourceHash: (hash: number) => (hash & (slots - 1)) === source,
    isConfirmed: (key: Buffer) => brackets.isConfirmed(source, bracket, key),
  };
  let { after } = work;
  for (;;) {
    const keys = keysAfter(state, after);
    for (const key of keys) {
      if (context.workUsLeft <= 0) return { ...work, after };
      after = key;
      context.workUsLeft -= workCostUs.row;
      const { owner, table } = keyHeadOf(key);
      if (sweeperByTable.get(table)?.sweep(sweep, owner, key) === true) context.workUsLeft -= workCostUs.reply;
    }
    if (keys.length === 0) break;
  }
  brackets.end(source);
  context.longWork({ type: 'bracket-clear', source, bracket });
  return undefined;
}

/** Does a step of removing confirmations. Returns the rest, or undefined at the end. */
export function clearBracket(
  context: ApplyContext,
  work: LongWorkOf<'bracket-clear'>,
): LongWorkOf<'bracket-clear'> | undefined {
  while (context.workUsLeft > 0) {
    context.workUsLeft -= rowsPerPage * workCostUs.row;
    if (context.brackets.clear(work.source, work.bracket, rowsPerPage) < rowsPerPage) return undefined;
  }
  return work;
}
