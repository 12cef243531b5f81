/** Reads OP threads in the slot of their root. */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, recordUri, writeDid } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { readThreadReply, threadPrefix } from '../../slot/table/thread-reply.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { scanSteps } from '../lookup/page.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { type OwnReply, opThreadRepliesMax, ownReplyOf, resolveOpThread } from './op-thread.ts';
import { rowMicros } from './thread.ts';

/** Rows of replies by roots' authors that one call reads for all its roots. */
const opThreadRowsMax = 20_000;
/** About what a reply takes in the search for its OP thread. Units: µs. */
const resolveMicros = 2;

const prefixWriter = new ByteWriter(512);

/** Returns up to `rowsMax` replies to a root by its author, tombstones included. */
export function* ownRepliesOf(
  state: SlotState,
  owner: number,
  root: RecordRef,
  turn: Turn,
  rowsMax: number,
): SlicedRead<OwnReply[]> {
  prefixWriter.clear().bytes(threadPrefix(owner, root.rkey));
  writeDid(prefixWriter, root.did);
  const prefix = prefixWriter.finish();
  const replies: OwnReply[] = [];
  const limit = Math.min(opThreadRepliesMax, rowsMax);
  for (const step of scanSteps(state.rows, { start: prefix, end: prefixEnd(prefix), limit })) {
    for (const { key, value } of step) replies.push(ownReplyOf(readThreadReply(key, value)));
    if (turn.isOver(step.length * rowMicros)) yield;
  }
  return replies;
}

/** Returns the URIs of the OP thread of a root, root first; none when there is no such thread. */
export function* opThreadOf(root: RecordRef, replies: readonly OwnReply[], turn: Turn): SlicedRead<string[]> {
  if (turn.isOver(replies.length * resolveMicros)) yield;
  return replies.length === 0 ? [] : resolveOpThread(recordUri(root), replies);
}

/**
 * Returns the OP threads of roots, in order; once `opThreadRowsMax` rows were read, the rest have
 * none. Errors: DataPlaneError `WrongEpoch`.
 */
export function* opThreadsOf(lookup: SlotLookup, rootUris: readonly string[], turn: Turn): SlicedRead<string[][]> {
  const threads: string[][] = [];
  let rowsLeft = opThreadRowsMax;
  for (const uri of rootUris) {
    const root = parseRecordUri(uri);
    const state = root && lookup.stateOf(root.did);
    const owner = root && state && ownerOfDid(state, root.did);
    let thread: string[] = [];
    if (owner !== undefined && root!.collection === nsid.post) {
      const replies = yield* ownRepliesOf(state!, owner, root!, turn, rowsLeft);
      rowsLeft -= replies.length;
      thread = yield* opThreadOf(root!, replies, turn);
    }
    threads.push(thread);
    if (turn.isOver(rowMicros)) yield;
  }
  return threads;
}
