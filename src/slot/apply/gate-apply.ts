/** Flags of thread gates and post gates on their post, which has the same owner and rkey. */
import { nsid } from '../../atproto/collection.ts';
import { type AppliedRecord, loadRecord, putRecordRow } from '../table/applied-record.ts';
import { hasRecord, postFlag } from '../table/record-row.ts';
import type { ApplyContext } from './apply-context.ts';

/** Sets or clears the gate's flag on its post, if that exists. */
export function applyGate(context: ApplyContext, gate: AppliedRecord, present: boolean): void {
  const post = loadRecord(context.state, gate.owner, { ...gate.ref, collection: nsid.post });
  if (post === undefined) return;
  const bit = gate.ref.collection === nsid.threadGate ? postFlag.hasThreadGate : postFlag.hasPostGate;
  const postFlags = present ? post.row.postFlags | bit : post.row.postFlags & ~bit;
  if (postFlags !== post.row.postFlags) putRecordRow(context.state, post, { ...post.row, postFlags });
}

/** Returns the flags of the gates that came before their post. */
export function gateFlagsOf(context: ApplyContext, owner: number, rkey: string): number {
  const threadGate = hasRecord(context.state, owner, nsid.threadGate, rkey) ? postFlag.hasThreadGate : 0;
  return threadGate | (hasRecord(context.state, owner, nsid.postGate, rkey) ? postFlag.hasPostGate : 0);
}
