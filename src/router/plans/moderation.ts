/** Takedowns and upstream status in the owner's slot; never shared, so callers see their writes. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';
import { recordOfUri, writePlan } from '../plan/private-write.ts';

/** The reference of a takedown for which the caller gives none. */
const unnamedTakedown = 'TAKEDOWN';
/** Longer references and statuses are refused. Units: characters. */
const shortTextMax = 1024;

function shortText(text: string, path: string): string {
  if (text.length > shortTextMax)
    throw new DataPlaneError('InvalidArgument', `${path}: longer than ${shortTextMax} characters`);
  return text;
}

function cidOf(cid: string, path: string): string {
  if (!/^[a-zA-Z0-9+/=]{8,256}$/.test(cid)) throw new DataPlaneError('InvalidArgument', `${path}: not a CID`);
  return cid;
}

export const moderationPlans: readonly Plan[] = [
  oneSlot({ method: 'GetActorTakedown', owner: 'did', isShared: false }),
  oneSlot({ method: 'GetBlobTakedown', owner: 'did', isShared: false }),
  oneSlot({ method: 'GetRecordTakedown', owner: 'recordUri', shape: 'uri', isShared: false }),
  writePlan('TakedownActorRequest', 'did', ({ did, ref }) => ({
    did,
    write: { type: 'actor-takedown', ref: shortText(ref, 'TakedownActorRequest.ref') || unnamedTakedown },
  })),
  writePlan('UntakedownActorRequest', 'did', ({ did }) => ({ did, write: { type: 'actor-takedown', ref: null } })),
  writePlan('TakedownRecordRequest', 'record_uri', ({ recordUri, ref }) => {
    const { did, collection, rkey } = recordOfUri(recordUri, 'TakedownRecordRequest.record_uri');
    const takedownRef = shortText(ref, 'TakedownRecordRequest.ref') || unnamedTakedown;
    return { did, write: { type: 'record-takedown', collection, rkey, ref: takedownRef } };
  }),
  writePlan('UntakedownRecordRequest', 'record_uri', ({ recordUri }) => {
    const { did, collection, rkey } = recordOfUri(recordUri, 'UntakedownRecordRequest.record_uri');
    return { did, write: { type: 'record-takedown', collection, rkey, ref: null } };
  }),
  writePlan('TakedownBlobRequest', 'did', ({ did, cid, ref }) => ({
    did,
    write: {
      type: 'blob-takedown',
      cid: cidOf(cid, 'TakedownBlobRequest.cid'),
      ref: shortText(ref, 'TakedownBlobRequest.ref') || unnamedTakedown,
    },
  })),
  writePlan('UntakedownBlobRequest', 'did', ({ did, cid }) => ({
    did,
    write: { type: 'blob-takedown', cid: cidOf(cid, 'UntakedownBlobRequest.cid'), ref: null },
  })),
  writePlan('UpdateActorUpstreamStatusRequest', 'actor_did', ({ actorDid, upstreamStatus }) => ({
    did: actorDid,
    write: {
      type: 'upstream-status',
      status: shortText(upstreamStatus, 'UpdateActorUpstreamStatusRequest.upstream_status'),
    },
  })),
];
