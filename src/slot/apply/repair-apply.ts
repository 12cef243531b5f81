/** Applies operators' repairs of one repo: a record without its commit, and the indexes again. */
import { deleteOp } from '../../atproto/repo-op.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { ensureActor, getActor, getRepo } from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { readRecordRefOfKey, recordPrefix } from '../table/record-row.ts';
import { restateActor } from './actor-apply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { applyRepoOp, reindexRecord } from './record-apply.ts';
import { rowsAfter } from './rows-after.ts';

type RecordWrite = Extract<PrivateWrite, { readonly type: 'record-put' | 'record-delete' }>;

/** Writes or deletes one record; the repo stays at its rev, and its next snapshot decides again. */
export function applyRecordWrite(context: ApplyContext, did: string, write: RecordWrite): void {
  const { state, appendMs } = context;
  const { collection, rkey } = write;
  const owner = write.type === 'record-put' ? state.ensureOwner(did) : state.ownerOf(did);
  if (owner === undefined) return;
  if (write.type === 'record-put') ensureActor(state, owner, did, appendMs);
  const target = { owner, did, indexedMs: appendMs, deletedMs: getRepo(state, owner)?.deletedMs ?? null };
  if (write.type === 'record-delete') return applyRepoOp(context, target, deleteOp(collection, rkey));
  applyRepoOp(context, target, { action: 'update', collection, rkey, cid: write.cid, block: write.block });
}

/** Puts again what the records of a repo put elsewhere, a step of them. Returns the rest. */
export function reindexStep(context: ApplyContext, work: LongWorkOf<'reindex'>): LongWorkOf<'reindex'> | undefined {
  const { state } = context;
  const { did } = work;
  const owner = state.ownerOf(did);
  const actor = owner === undefined ? undefined : getActor(state, owner);
  if (owner === undefined || actor === undefined) return undefined;
  let { after } = work;
  if (after.length === 0) restateActor(context, actor);
  for (const { key } of rowsAfter(state, recordPrefix(owner), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.record;
    after = key;
    const record = loadRecord(state, owner, readRecordRefOfKey(did, key));
    if (record !== undefined) reindexRecord(context, record);
  }
  return undefined;
}
