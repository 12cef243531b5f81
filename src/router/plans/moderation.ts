/** Takedowns and upstream status in the owner's slot; never shared, so callers see their writes. */
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { decodeMessage } from '../../proto/codec.ts';
import type { MessageByName, MethodName } from '../../proto/generated/bsky-service.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { type Plan, planDefaults } from '../plan/plan.ts';
import { writePrivate } from '../plan/private-write.ts';

/** The reference of a takedown for which the caller gives none. */
const unnamedTakedown = 'TAKEDOWN';
/** Longer references and statuses are refused. Units: characters. */
const shortTextMax = 1024;

type Target = { readonly did: string; readonly write: PrivateWrite };
type WriteRequest = {
  [Name in keyof MessageByName]: Name extends `${MethodName}Request` ? Name : never;
}[keyof MessageByName];

function shortText(text: string, path: string): string {
  if (text.length > shortTextMax)
    throw new DataPlaneError('InvalidArgument', `${path}: longer than ${shortTextMax} characters`);
  return text;
}

function recordOf(uri: string, path: string): RecordRef {
  const ref = parseRecordUri(uri);
  if (ref === undefined)
    throw new DataPlaneError(
      'InvalidArgument',
      `${path}: ${JSON.stringify(uri.slice(0, 80))} is not a record's AT-URI`,
    );
  return ref;
}

function cidOf(cid: string, path: string): string {
  if (!/^[a-zA-Z0-9+/=]{8,256}$/.test(cid)) throw new DataPlaneError('InvalidArgument', `${path}: not a CID`);
  return cid;
}

function writePlan<Name extends WriteRequest>(
  request: Name,
  didField: string,
  targetOf: (message: MessageByName[Name]) => Target,
): Plan {
  return {
    method: request.slice(0, -'Request'.length) as MethodName,
    timeoutMs: planDefaults.timeoutMs,
    isShared: false,
    run: (bytes, context) => {
      const { did, write } = targetOf(decodeMessage(request, bytes));
      return writePrivate(did, `${request}.${didField}`, write, context);
    },
  };
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
    const { did, collection, rkey } = recordOf(recordUri, 'TakedownRecordRequest.record_uri');
    const takedownRef = shortText(ref, 'TakedownRecordRequest.ref') || unnamedTakedown;
    return { did, write: { type: 'record-takedown', collection, rkey, ref: takedownRef } };
  }),
  writePlan('UntakedownRecordRequest', 'record_uri', ({ recordUri }) => {
    const { did, collection, rkey } = recordOf(recordUri, 'UntakedownRecordRequest.record_uri');
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
