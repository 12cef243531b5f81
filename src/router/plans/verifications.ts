/** Verifications, as they are issued and received. Those that count are part of GetActors. */
import { nsid } from '../../atproto/collection.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { askByItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { slotOfDidText } from '../plan/slot-finder.ts';
import { recordsByUri } from './records.ts';

/** Asks the subject's slot who verified it, then the issuers' slots when that was. */
async function received(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { fanOut, deadlineMs } = context;
  const slot = slotOfDidText(decodeMessage('GetVerificationsReceivedRequest', request).subjectDid, fanOut.map.slots);
  if (slot < 0) return emptyAnswer;
  const method = 'bsky.GetVerificationsReceived';
  const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, method, request, deadlineMs);
  const { verifications, cursor } = decodeMessage('GetVerificationsReceivedResponse', answer);
  if (verifications.length === 0) return answer;
  const uris = verifications.map(({ actorDid, rkey }) => `at://${actorDid}/${nsid.verification}/${rkey}`);
  const asked = Buffer.from(encodeMessage('GetVerificationRecordsRequest', { uris }));
  const found = await askByItem(asked, recordsByUri('GetVerificationRecords'), context);
  const { records } = decodeMessage('GetVerificationRecordsResponse', found);
  return encodeMessage('GetVerificationsReceivedResponse', {
    verifications: verifications.map((each, index) => {
      const { createdAt, indexedAt } = records[index]!;
      return { ...each, createdAt, indexedAt };
    }),
    cursor,
  });
}

export const verificationPlans: readonly Plan[] = [
  oneSlot({ method: 'GetVerificationsIssued', owner: 'actorDid' }),
  { method: 'GetVerificationsReceived', timeoutMs: 2 * planDefaults.timeoutMs, isShared: true, run: received },
];
