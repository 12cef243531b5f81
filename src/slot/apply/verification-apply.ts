/**
 * Whose verifications count: those of verifiers that an operator trusts.
 *
 * Only the verifier's slot knows that, so it sends what counts to the slots of the subjects, and
 * takes it back when the verification or the trust ends.
 */

import { nsid } from '../../atproto/collection.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { getActor, putActor } from '../table/actor-row.ts';
import { type AppliedRecord, loadRecord } from '../table/applied-record.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { edgeByTimePrefix, readEdgeRkey } from '../table/outgoing-edge.ts';
import { textOf } from '../table/record-values.ts';
import { emptyValue } from '../table/slot-state.ts';
import { putVerification, removeVerification, verifierKey } from '../table/verified-by.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { rowsAfter } from './rows-after.ts';

/** No profile has a longer name, so a verification with one could only be invalid. */
const displayNameBytesMax = 2_048;

/** Sends the subject's slot that the verification counts, if it does, or no longer does. */
export function sendVerification(
  context: ApplyContext,
  record: AppliedRecord,
  subject: string,
  present: boolean,
): void {
  const { owner, ref: source, sortMs } = record;
  const handle = textOf(record.value['handle']) ?? '';
  const displayName = textOf(record.value['displayName']) ?? '';
  if (!present)
    return context.send({ type: 'verified-by', present, subject, source, sortMs, handle: '', displayName: '' });
  if (getActor(context.state, owner)?.isTrustedVerifier !== true) return;
  if (Buffer.byteLength(displayName) > displayNameBytesMax) return;
  context.send({ type: 'verified-by', present, subject, source, sortMs, handle, displayName });
}

/** Puts or removes what one verifier says of an actor. */
export function applyVerifiedBy(context: ApplyContext, effect: EffectOf<'verified-by'>): void {
  const { state } = context;
  const { did: verifier, rkey } = effect.source;
  if (!effect.present) {
    const owner = state.ownerOf(effect.subject);
    if (owner !== undefined) removeVerification(state, owner, verifier, rkey);
    return;
  }
  const { sortMs, handle, displayName } = effect;
  const owner = state.ensureOwner(effect.subject);
  context.confirm(verifierKey(owner, verifier));
  putVerification(state, owner, { verifier, rkey, sortMs, handle, displayName });
}

/** Trusts an actor of this slot as a verifier, or ends that; all that it has issued follows. */
export function setTrustedVerifier(context: ApplyContext, did: string, isTrustedVerifier: boolean): void {
  const owner = context.state.ownerOf(did);
  const actor = owner === undefined ? undefined : getActor(context.state, owner);
  if (owner === undefined || actor === undefined || actor.isTrustedVerifier === isTrustedVerifier) return;
  putActor(context.state, owner, { ...actor, isTrustedVerifier });
  context.longWork({ type: 'verifier', did, after: emptyValue });
}

/** Does a step of sending what a verifier has issued. Returns the rest, or undefined at its end. */
export function verifierStep(context: ApplyContext, work: LongWorkOf<'verifier'>): LongWorkOf<'verifier'> | undefined {
  const { state } = context;
  const owner = state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  const isTrusted = getActor(state, owner)?.isTrustedVerifier === true;
  let { after } = work;
  for (const { key } of rowsAfter(state, edgeByTimePrefix(owner, 'verification'), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.record;
    after = key;
    const record = loadRecord(state, owner, { did: work.did, collection: nsid.verification, rkey: readEdgeRkey(key) });
    const subject = record?.edge?.subject.did;
    if (record !== undefined && subject !== undefined) sendVerification(context, record, subject, isTrusted);
  }
  return undefined;
}
