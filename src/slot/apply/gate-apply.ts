/**
 * Thread gates and post gates: their flags on their post, which is in the same slot and has the
 * same rkey.
 */
import { nsid } from '../../atproto/collection.ts';
import { type AppliedRecord, loadRecord, putRecordRow } from '../table/applied-record.ts';
import { hasRecord, postFlag } from '../table/record-row.ts';
import type { ApplyContext } from './apply-context.ts';

/** Sets or clears the gate's flag on its post, if that is there. */
export function applyGate(context: ApplyContext, gate: AppliedRecord, present: boolean): void {
  const post = loadRecord(context.state, gate.owner, {
    did: gate.ref.did,
    collection: nsid.post,
    rkey: gate.ref.rkey,
  });
  if (post === undefined) return;
  const bit = gate.ref.collection === nsid.threadGate ? postFlag.hasThreadGate : postFlag.hasPostGate;
  const postFlags = present ? post.row.postFlags | bit : post.row.postFlags & ~bit;
  if (postFlags !== post.row.postFlags) putRecordRow(context.state, post, { ...post.row, postFlags });
}

/** Returns the flags of the gates that a new post has already. */
export function gateFlagsOf(context: ApplyContext, owner: number, rkey: string): number {
  const threadGate = hasRecord(context.state, owner, nsid.threadGate, rkey) ? postFlag.hasThreadGate : 0;
  return threadGate | (hasRecord(context.state, owner, nsid.postGate, rkey) ? postFlag.hasPostGate : 0);
}
