/** Answers the calls about what slots hold of one account, hidden or not. */
import { Cid } from '../atproto/cid.ts';
import { systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { needsResync } from '../slot/apply/repo-apply.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { getActor, getIdentity, getRepo } from '../slot/table/actor-row.ts';
import { getHandleRow } from '../slot/table/handle-claim.ts';
import { labelsOf, labelsPrefix } from '../slot/table/label.ts';
import { getQuarantinedDid, getQuarantineState, quarantinedEntries } from '../slot/table/quarantine-row.ts';
import { decodeRecordRow, getRecordRow, postFlag, readRecordRefOfKey, recordPrefix } from '../slot/table/record-row.ts';
import type { SlotState } from '../slot/table/slot-state.ts';
import { keyAfter, prefixEnd } from '../storage/environment.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { privatePageAnswer, privatePageRequest } from '../wire/private-page.ts';
import {
  type StoredAccount,
  storedAccountAnswer,
  storedAccountRequest,
  storedHandleAnswer,
  storedHandleRequest,
  storedRecordsAnswer,
  storedRecordsMax,
  storedRecordsRequest,
} from '../wire/stored-repo.ts';
import { privatePage } from './private-pages.ts';
import { freshState, type SlotReader } from './slot-reader.ts';

/** Values by which the API tier, or apps by default, hide what is labelled. */
const hidingValues: ReadonlySet<string> = new Set(['!takedown', '!suspend', '!hide']);
const labelsReadMax = 1_000;
/** Entries of one account in one answer. */
const quarantinedMax = 20;

function actorOf(state: SlotState, owner: number): StoredAccount['actor'] {
  const actor = getActor(state, owner);
  if (actor === undefined) return null;
  const { handle, handleVerifiedMs, upstreamStatus, takedownRef, identityMs, accountMs } = actor;
  const keysJson = getIdentity(state, owner)?.keysJson ?? '';
  return { handle, handleVerifiedMs, upstreamStatus, takedownRef, identityMs, accountMs, keysJson };
}

function recordOf(
  state: SlotState,
  owner: number,
  { collection, rkey }: { readonly collection: string; readonly rkey: string },
): StoredAccount['record'] {
  const row = getRecordRow(state, owner, collection, rkey);
  if (row === undefined) return null;
  const { cid, indexedMs, takedownRef, postFlags } = row;
  return {
    cid: new Cid(cid).text,
    indexedMs,
    takedownRef,
    violatesThreadGate: (postFlags & postFlag.violatesThreadGate) !== 0,
    violatesEmbeddingRules: (postFlags & postFlag.violatesEmbeddingRules) !== 0,
  };
}

/** Returns the labels in force that hide an account or the record. */
function hidingLabels(
  state: SlotState,
  owner: number,
  record: { readonly collection: string; readonly rkey: string } | null,
): StoredAccount['hidingLabels'] {
  const nowMs = systemClock.nowMs();
  return [null, ...(record === null ? [] : [record])].flatMap((subject) => {
    const prefix = labelsPrefix(owner, subject);
    const labels = [...labelsOf(state, prefix, prefix.length, labelsReadMax)];
    return labels
      .filter(({ val, neg, expMs }) => hidingValues.has(val) && !neg && (expMs === null || expMs > nowMs))
      .map(({ src, val }) => ({ src, val, ofRecord: subject !== null }));
  });
}

function accountOf(
  slot: number,
  state: SlotState,
  { did, record }: ReturnType<typeof storedAccountRequest.decode>,
): StoredAccount {
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : getRepo(state, owner);
  const kept = quarantinedEntries(state).filter((entry) => entry.did === did);
  return {
    slot,
    condition: readSlotMeta(state).condition,
    stoppedMs: getQuarantineState(state).stoppedMs,
    actor: owner === undefined ? null : actorOf(state, owner),
    repo:
      repo === undefined
        ? null
        : {
            rev: repo.rev,
            isResyncing: repo.resyncRev !== '',
            needsResync: needsResync(state, did),
            deletedMs: repo.deletedMs,
            isGivenUp: repo.isGivenUp,
          },
    record: owner === undefined || record === null ? null : recordOf(state, owner, record),
    quarantined: kept.slice(0, quarantinedMax).map(({ seq, part, kind, reason }) => {
      return { name: part === 0 ? `${slot}/${seq}` : `${slot}/${seq}.${part}`, kind, reason };
    }),
    isSuspended: getQuarantinedDid(state, did).isSuspended,
    hidingLabels: owner === undefined ? [] : hidingLabels(state, owner, record),
  };
}

function recordsOf(
  state: SlotState,
  { did, after }: ReturnType<typeof storedRecordsRequest.decode>,
): Parameters<typeof storedRecordsAnswer.encode>[0] {
  const owner = state.ownerOf(did);
  if (owner === undefined) return { records: [], next: null };
  const prefix = recordPrefix(owner);
  const start = after === '' ? prefix : keyAfter(Buffer.from(after, 'hex'));
  if (Buffer.compare(start.subarray(0, prefix.length), prefix) !== 0) {
    throw new DataPlaneError('InvalidArgument', 'after: is no page of this account');
  }
  let last: Buffer | undefined;
  const records = [];
  for (const { key, value } of state.rows.scan({ start, end: prefixEnd(prefix), limit: storedRecordsMax })) {
    const { collection, rkey } = readRecordRefOfKey(did, key);
    records.push({ path: `${collection}/${rkey}`, cid: new Cid(decodeRecordRow(value).cid).text });
    last = Buffer.from(key);
  }
  return { records, next: records.length < storedRecordsMax ? null : last!.toString('hex') };
}

/** Returns the handlers, by the name of the call. `slotOf` returns the slot of a key. */
export function storedRepoHandlers(
  readers: ReadonlyMap<number, SlotReader>,
  slotOf: (key: string) => number,
): [string, CallHandler][] {
  const stateOf = (slot: number): SlotState => freshState(readers, slot);
  return [
    [
      nodeCalls.storedAccount,
      (payload) => {
        const request = storedAccountRequest.decode(payload);
        const slot = slotOf(request.slotOf ?? request.did);
        return storedAccountAnswer.encode(accountOf(slot, stateOf(slot), request));
      },
    ],
    [
      nodeCalls.storedRecords,
      (payload) => {
        const request = storedRecordsRequest.decode(payload);
        return storedRecordsAnswer.encode(recordsOf(stateOf(slotOf(request.did)), request));
      },
    ],
    [
      nodeCalls.privatePage,
      (payload) => {
        const { did, from } = privatePageRequest.decode(payload);
        return privatePageAnswer.encode(privatePage(stateOf(slotOf(did)), did, from));
      },
    ],
    [
      nodeCalls.storedHandle,
      (payload) => {
        const { handle } = storedHandleRequest.decode(payload);
        const claim = getHandleRow(stateOf(slotOf(handle)), handle) ?? null;
        return storedHandleAnswer.encode({ claim });
      },
    ],
  ];
}
