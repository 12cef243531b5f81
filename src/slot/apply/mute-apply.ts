/** Applies an owner's writes about mutes of actors, of lists of them, and of threads. */
import type { PrivateWrite } from '../../entry/entry.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import {
  clearsOfListMute,
  listMutePrefix,
  mutePrefix,
  putListMute,
  putMute,
  removeClearedMute,
  removeListMute,
  removeMute,
} from '../table/mute.ts';
import { addClear, clearCount, type MuteSort } from '../table/mute-clears.ts';
import { emptyValue } from '../table/slot-state.ts';
import { putThreadMute, removeThreadMute, threadMutePrefix } from '../table/thread-mute.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { hasRows, rowsAfter } from './rows-after.ts';

const muteWrites = [
  'mute',
  'unmute',
  'clear-mutes',
  'list-mute',
  'list-unmute',
  'clear-list-mutes',
  'thread-mute',
  'thread-unmute',
  'clear-thread-mutes',
] as const;

export type MuteWrite = Extract<PrivateWrite, { readonly type: (typeof muteWrites)[number] }>;

const prefixBySort: { readonly [sort in MuteSort]: (owner: number) => Buffer } = {
  actor: mutePrefix,
  list: listMutePrefix,
  thread: threadMutePrefix,
};

/** Applies a write made at `writtenMs`. An owner that was never seen has nothing to remove. */
export function applyMuteWrite(context: ApplyContext, did: string, write: MuteWrite, writtenMs: number): void {
  const { state } = context;
  if (write.type === 'mute') return putMute(state, state.ensureOwner(did), write.subject, write, writtenMs);
  if (write.type === 'list-mute') return putListMute(state, state.ensureOwner(did), write.list);
  if (write.type === 'thread-mute') return putThreadMute(state, state.ensureOwner(did), write.root);
  const owner = state.ownerOf(did);
  if (owner === undefined) return;
  switch (write.type) {
    case 'unmute':
      return removeMute(state, owner, write.subject);
    case 'list-unmute':
      return removeListMute(state, owner, write.list);
    case 'thread-unmute':
      return removeThreadMute(state, owner, write.root);
    case 'clear-mutes':
      return clear(context, owner, did, 'actor');
    case 'clear-list-mutes':
      return clear(context, owner, did, 'list');
    case 'clear-thread-mutes':
      return clear(context, owner, did, 'thread');
  }
}

function clear(context: ApplyContext, owner: number, did: string, sort: MuteSort): void {
  if (!hasRows(context.state, prefixBySort[sort](owner))) return;
  addClear(context.state, owner, sort);
  context.longWork({ type: 'clear-mutes', did, sort, after: emptyValue });
}

/** Does a step of removing what was cleared. Returns the rest, or undefined at its end. */
export function clearMutesStep(
  context: ApplyContext,
  work: LongWorkOf<'clear-mutes'>,
): LongWorkOf<'clear-mutes'> | undefined {
  const { state } = context;
  const owner = state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  const clears = clearCount(state, owner, work.sort);
  let { after } = work;
  for (const { key, value } of rowsAfter(state, prefixBySort[work.sort](owner), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= 2 * workCostUs.row;
    after = key;
    if (work.sort === 'actor') removeClearedMute(state, owner, key, clears);
    else if (clearsOfListMute(value) !== clears) state.rows.remove(key);
  }
  return undefined;
}
